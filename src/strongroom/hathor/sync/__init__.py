"""Follows a full node's event queue into the database, exactly once.

Read in this order: `hathor.protocol.events` (what the node says), `hathor.index.batch_state` (what a batch does to
transactions and outputs), `hathor.index.effects` (what follows for addresses, wallets and tokens), `batch` (one batch, one
transaction), `window` (the node's flow control), `daemon` (who does all this, and when).
"""
