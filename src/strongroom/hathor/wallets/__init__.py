"""Registers and loads wallets, and reads what they ask of themselves."""
