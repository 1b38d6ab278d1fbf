"""Hathor's formats: pure functions over immutable values. Imports nothing of the house."""
