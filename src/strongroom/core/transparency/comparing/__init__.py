"""Compares what other tables say with the audit trail."""
