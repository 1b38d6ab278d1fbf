"""Takes a transaction from its proposal to its place on the chain."""
