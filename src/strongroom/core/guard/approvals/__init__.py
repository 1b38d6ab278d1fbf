"""Requests that people must approve before they are signed: parked, decided, and signed once."""
