"""Coordinates the replicas of a ledger through its database: leases, and idempotency keys of requests."""
