"""What a ledger says of itself (`contract`), and the running half that all ledgers share (`base`)."""
