"""Wallets of all ledgers, for operators who look at them."""
