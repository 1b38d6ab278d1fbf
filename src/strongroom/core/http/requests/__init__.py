"""Requests: the id that names each of them, from its answer to what came of it, and the log of them."""
