"""Addresses, keys, key files, messages: pure functions over immutable values, no I/O."""
