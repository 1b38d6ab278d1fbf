"""What the parts of the service announce to receivers outside, in the transaction of what they announce.

The parts know this Protocol alone. Who listens, and how it is told, is the affair of `core.webhooks`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """One fact, as it is told outside."""

    kind: str
    """As the catalogue of events has it, for example `payment.confirmed`."""
    stream: str
    """What the order of events is kept for, for example the account."""
    data: Mapping[str, Any]
    """Values that JSON can represent, never a secret."""
    wallet: str = ""
    """The name of the wallet that it concerns, as rules name it; empty: none."""
    key: str = ""
    """Names the fact within its kind and stream, so that it is one event even if it is announced twice. Empty: each
    announcement is an event of its own."""
    payment: bytes | None = None
    """The id of the payment that it tells of, so that whoever asks for the payment hears who was told; None: of none."""


class Announcer(Protocol):
    """Takes announcements. Those that nobody wants cost nothing and leave nothing behind."""

    def wants(self, connection: Connection, *kinds: str) -> bool:
        """Whether anybody wants an event of one of these kinds, so that nobody collects for nothing what is told with it."""

    def announce(self, connection: Connection, announcements: Sequence[Announcement]) -> None:
        """Queues them in the caller's transaction, in this order. Whoever announces in one stream excludes the others."""
