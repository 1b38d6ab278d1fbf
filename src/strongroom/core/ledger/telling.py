"""Whom a ledger itself tells of a payment, besides webhooks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """One receiver."""

    to: str
    told_at_ms: int | None = None
    attempts: int = 0
    """Those so far; with the last one if it was told."""
    waits: bool = False
    """It will be told."""
    trouble: str | None = None
    """Why the last attempt failed."""
