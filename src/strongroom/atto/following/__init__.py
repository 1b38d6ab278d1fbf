"""Follows the states and receivables of our accounts on the node."""
