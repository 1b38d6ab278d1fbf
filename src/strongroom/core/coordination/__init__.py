"""What the replicas of one ledger agree on through its database: who leads a piece of work, and which request was answered."""
