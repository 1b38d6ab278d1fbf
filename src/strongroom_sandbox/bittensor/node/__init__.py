"""The node: a chain, a pool, faults, and who hears of new blocks."""
