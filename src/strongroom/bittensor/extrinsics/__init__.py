"""A signed extrinsic from its nonce to its finalized block."""
