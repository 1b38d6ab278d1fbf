"""Runs units of work on the database, and translates its errors."""
