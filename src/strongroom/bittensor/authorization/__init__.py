"""Decides who may have what signed."""
