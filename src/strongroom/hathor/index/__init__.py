"""What the rows of the chain mean: the ground that sync, wallets and proposals stand on."""
