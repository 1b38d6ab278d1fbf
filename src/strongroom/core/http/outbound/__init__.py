"""The HTTP client for nodes and other peers, with limits on their answers."""
