"""The ledger: accounts, blocks and receivables in memory, the rules for them, and the file that keeps them."""
