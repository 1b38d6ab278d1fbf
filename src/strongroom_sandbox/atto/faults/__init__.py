"""Faults that a client switches on, applied in front of the whole application."""
