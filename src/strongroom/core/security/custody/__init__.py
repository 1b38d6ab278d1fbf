"""Keeps the key-encryption keys of a running ledger: opens them, changes them, and takes them out of memory."""
