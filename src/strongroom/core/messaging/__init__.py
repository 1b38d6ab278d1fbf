"""Stores events in the transaction that causes them, and delivers them afterwards."""
