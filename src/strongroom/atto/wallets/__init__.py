"""Wallets and their accounts: made, recovered, adopted, unlocked."""
