"""Receives the amounts that others send to our accounts."""
