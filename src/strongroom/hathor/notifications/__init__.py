"""Tells wallets and their phones what happened."""
