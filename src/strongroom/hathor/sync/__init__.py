"""Follows a full node's event queue into the database, exactly once.

The reading order: `events` (what the node says), `working` (what a batch of events does to transactions and
outputs), `effects` (what follows for addresses, wallets and tokens), `batch` (one batch, one transaction),
`stream` (getting the events), `daemon` (who does all this, and when).
"""
