"""Serves the node on a port: JSON-RPC, and the sandbox's own routes."""
