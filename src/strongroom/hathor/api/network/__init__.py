"""Routes about the chain, the full node and the service itself."""
