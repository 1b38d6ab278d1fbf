"""Wallets: registered, loaded, and what they read of themselves."""
