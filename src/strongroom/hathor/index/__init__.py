"""The rows of the chain and what follows from them. Sync, wallets and proposals all stand on this package."""
