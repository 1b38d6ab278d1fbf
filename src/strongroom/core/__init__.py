"""Shared code of all ledgers. It imports no ledger."""
