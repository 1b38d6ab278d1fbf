"""The node behind its API: elections, its clock, and the ledger with its listeners."""
