"""The audit trail in lanes: how its rows hang together, and whether they still do."""
