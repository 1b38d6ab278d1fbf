"""Queues announcements for the endpoints that want them, in the transaction of what is announced.

Which endpoints there are is remembered for half a second. So where there are none, an announcement costs one look in this time, and
what is announced a second after an endpoint was added on any replica waits for it.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import Connection

from strongroom.core.announcements import Announcement
from strongroom.core.clock import Clock, Entropy, iso_instant
from strongroom.core.webhooks.endpoint import Endpoint, EndpointState
from strongroom.core.webhooks.queue import insert_events, row_of
from strongroom.core.webhooks.store import load_endpoints

FRESH_S: Final = 0.5
SCHEMA_VERSION: Final = 1
ID_BYTES: Final = 16
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    at_s: float
    endpoints: tuple[Endpoint, ...]


class WebhookAnnouncer:
    """See `core.announcements.Announcer`."""

    def __init__(self, ledger: str, clock: Clock, entropy: Entropy) -> None:
        self._ledger = ledger
        self._clock = clock
        self._entropy = entropy
        self._known: _Known | None = None
        self._queued: Callable[[], None] = lambda: None

    def listen(self, queued: Callable[[], None]) -> None:
        """`queued` is called from any thread when events were queued, before their transaction commits."""
        self._queued = queued

    def wants(self, connection: Connection, *kinds: str) -> bool:
        endpoints = self._endpoints(connection)
        return any(one.wanted.has_kind(kind) for one in endpoints for kind in kinds)

    def announce(self, connection: Connection, announcements: Sequence[Announcement]) -> None:
        endpoints = self._endpoints(connection)
        now_ms = self._clock.now_ms()
        rows: list[dict[str, Any]] = []
        for one in announcements:
            wanting = [each.id for each in endpoints if each.wanted.has(one.kind, one.wallet)]
            if wanting:
                event_id = self._event_id(one)
                payload = event_document(self._ledger, event_id, one, now_ms)
                rows += [
                    row_of(
                        endpoint=endpoint,
                        event=event_id,
                        kind=one.kind,
                        stream=one.stream,
                        payload=payload,
                        payment=one.payment,
                        now_ms=now_ms,
                    )
                    for endpoint in wanting
                ]
        if rows:
            insert_events(connection, rows)
            self._queued()

    def _endpoints(self, connection: Connection) -> tuple[Endpoint, ...]:
        """Those that are active."""
        known, now_s = self._known, self._clock.monotonic_s()
        if known is None or now_s - known.at_s >= FRESH_S:
            found = [one for one in load_endpoints(connection) if one.state is EndpointState.ACTIVE]
            known = self._known = _Known(at_s=now_s, endpoints=tuple(found))
        return known.endpoints

    def _event_id(self, one: Announcement) -> str:
        if not one.key:
            return new_event_id(self._entropy)
        named = msgspec.json.encode([self._ledger, one.kind, one.stream, one.key])
        return f"evt_{hashlib.sha256(named).hexdigest()[: 2 * ID_BYTES]}"


def new_event_id(entropy: Entropy) -> str:
    return f"evt_{entropy.token(ID_BYTES).hex()}"


def event_document(ledger: str, event_id: str, one: Announcement, now_ms: int) -> str:
    """The body, as every attempt sends it."""
    document = {
        "type": one.kind,
        "timestamp": iso_instant(now_ms),
        "id": event_id,
        "version": SCHEMA_VERSION,
        "data": {"ledger": ledger, **one.data},
    }
    return _encoder.encode(document).decode()
