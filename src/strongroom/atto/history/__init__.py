"""Stores and lists the entries of accounts, and announces them to the callback URL."""
