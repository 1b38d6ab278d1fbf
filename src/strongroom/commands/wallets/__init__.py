"""Wallets of all ledgers on a terminal."""
