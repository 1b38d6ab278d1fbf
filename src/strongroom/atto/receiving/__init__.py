"""Receives what others sent to our accounts."""
