"""The wire surface of the Hathor ledger: what wallets built on wallet-lib speak."""
