"""Follows the node: the states and receivables of our accounts, as they change."""
