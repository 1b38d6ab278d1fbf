"""A Hathor full node for tests and newcomers: its event queue, its HTTP routes, and chains made from a seed."""
