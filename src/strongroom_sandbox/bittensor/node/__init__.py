"""The node: a chain, a pool, faults, and the listeners of new blocks."""
