"""Requests whose answer takes longer than a client waits."""
