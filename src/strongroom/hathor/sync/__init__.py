"""Follows a full node's event queue into the database; each event is applied exactly once.

Read in this order: `hathor.protocol.events` (what the node says), `hathor.index.batch_state` (what a batch does to
transactions and outputs), `hathor.index.effects` (what follows for addresses, wallets and tokens), `batch` (one batch, one
transaction), `window` (the node's flow control), `pages` (reading ahead), `daemon` (which does all this).
"""
