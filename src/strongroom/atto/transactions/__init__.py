"""A payment from the request to its confirmation."""
