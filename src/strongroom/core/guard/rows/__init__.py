"""All rows of a ledger that have tags: finds what is wrong with them, tags those of before, and takes what an operator accepts."""
