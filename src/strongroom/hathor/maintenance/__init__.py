"""Verifies and rebuilds the derived rows."""
