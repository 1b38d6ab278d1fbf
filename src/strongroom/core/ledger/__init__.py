"""What a ledger must define (`contract`), and the part of a running ledger that all ledgers share (`base`)."""
