"""The queue of one endpoint: its streams in parallel, the events of each one after the other.

A stream whose first event is not taken waits, and with it what comes after: so its order is kept. The others go on.
"""

import asyncio
import heapq
from dataclasses import dataclass
from typing import Final, Protocol

import structlog
from sqlalchemy import Connection

from strongroom.core.clock import Clock, Entropy, sleep_unless
from strongroom.core.coordination.lease import Lease
from strongroom.core.errors import LeaseLost, NotFound, Sealed, VaultError
from strongroom.core.json_decoder import decode_json
from strongroom.core.runtime.background import cancel_all
from strongroom.core.storage.database import Database
from strongroom.core.webhooks.endpoint import Endpoint, Private
from strongroom.core.webhooks.queue import (
    LIFE_MS,
    QueuedEvent,
    next_events,
    record_dead,
    record_delivered,
    record_failed,
)
from strongroom.core.webhooks.sender import Answer, Sender
from strongroom.core.webhooks.store import find_endpoint

log = structlog.get_logger(__name__)

PARALLEL: Final = 8
"""Attempts at one endpoint at the same time."""
BATCH: Final = 50
FIRST_PAUSE_MS: Final = 5_000
MAX_PAUSE_MS: Final = 3_600_000
AGAIN_MS: Final = 1_000
"""After a fault of ours: the database does not answer, or the service is sealed."""
CHANGED_MS: Final = 60_000
IDLE_S: Final = 60.0


class Opener(Protocol):
    """Opens what is sealed of an endpoint."""

    def __call__(self, endpoint: Endpoint) -> Private: ...


class Gone(Protocol):
    """Disables an endpoint that wants no more events, in the transaction that records its answer."""

    def __call__(self, connection: Connection, endpoint: Endpoint) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What every queue delivers with."""

    database: Database
    clock: Clock
    entropy: Entropy
    lease: Lease
    open: Opener
    gone: Gone


class EndpointQueue:
    """Delivers to one endpoint until cancelled. `add` tells it of streams in which something waits."""

    def __init__(self, endpoint: Endpoint, sender: Sender, means: Means) -> None:
        self.endpoint = endpoint
        self.trouble: str | None = None
        """Why nothing at all can be delivered, such as a row that was changed past the service."""
        self._sender = sender
        self._means = means
        self._due: list[tuple[int, str]] = []
        """A heap of the streams that wait for their time."""
        self._known: set[str] = set()
        """Those in the heap."""
        self._busy: dict[str, asyncio.Task[int | None]] = {}
        self._again: set[str] = set()
        """Busy streams that may have more than they have read."""
        self._news = asyncio.Event()
        self._paused_until_ms = 0
        self._is_gone = False

    def add(self, stream: str) -> None:
        if stream in self._busy:
            self._again.add(stream)
        elif stream not in self._known:
            self._put(stream, 0)
            self._news.set()

    def renew(self, endpoint: Endpoint) -> None:
        """The endpoint was changed, or its events were made due: every stream is looked at now."""
        self.endpoint = endpoint
        self.trouble = None
        self._paused_until_ms, self._is_gone = 0, False
        self._due = [(0, stream) for stream in self._known]
        self._again |= self._busy.keys()
        self._news.set()

    async def run(self) -> None:
        """Raises: LeaseLost: another process delivers now."""
        try:
            while True:
                self._start()
                await sleep_unless(self._news, self._means.clock, self._pause_s())
                self._collect()
        finally:
            try:
                await cancel_all(self._busy.values())
            finally:
                await self._sender.close()

    def _start(self) -> None:
        now_ms = self._means.clock.now_ms()
        if self._is_gone or now_ms < self._paused_until_ms:
            return
        while self._due and self._due[0][0] <= now_ms and len(self._busy) < PARALLEL:
            stream = heapq.heappop(self._due)[1]
            self._known.discard(stream)
            task = asyncio.get_running_loop().create_task(self._drain(stream))
            self._busy[stream] = task
            task.add_done_callback(lambda _: self._news.set())

    def _collect(self) -> None:
        for stream, task in [(stream, task) for stream, task in self._busy.items() if task.done()]:
            del self._busy[stream]
            due_ms = task.result()
            if stream in self._again:
                self._again.discard(stream)
                due_ms = due_ms or 0
            if due_ms is not None:
                self._put(stream, due_ms)

    def _pause_s(self) -> float:
        if self._is_gone or len(self._busy) >= PARALLEL or not self._due:
            return IDLE_S
        until_ms = max(self._due[0][0], self._paused_until_ms)
        return min(IDLE_S, max(0.0, (until_ms - self._means.clock.now_ms()) / 1000))

    def _put(self, stream: str, due_ms: int) -> None:
        heapq.heappush(self._due, (due_ms, stream))
        self._known.add(stream)

    async def _drain(self, stream: str) -> int | None:
        """Delivers what waits in the stream; returns when to go on, None if nothing is left."""
        means = self._means
        try:
            means.open(self.endpoint)
            while True:
                stored, events = await means.database.read(lambda connection: self._next(connection, stream))
                if not events:
                    return None
                for event in events:
                    if event.due_at_ms > means.clock.now_ms():
                        return event.due_at_ms
                    due_ms = await self._deliver(event, max(self.endpoint, stored, key=_version))
                    if due_ms is not None:
                        return due_ms
        except LeaseLost:
            raise
        except Sealed:
            return self._pause(AGAIN_MS)
        except VaultError as error:
            self.trouble = error.message
            return self._pause(CHANGED_MS)
        except Exception as error:  # noqa: BLE001 - whatever failed, the event waits and is tried again
            log.warning("a webhook was not tried", endpoint=self.endpoint.id, error=type(error).__name__)
            return means.clock.now_ms() + AGAIN_MS

    def _next(self, connection: Connection, stream: str) -> tuple[Endpoint, list[QueuedEvent]]:
        """In one snapshot, so that what was announced after a change is sent by the changed endpoint."""
        try:
            stored = find_endpoint(connection, self.endpoint.id)
        except NotFound:  # it was removed, and its events with it
            return self.endpoint, []
        return stored, next_events(connection, stored.id, stream, BATCH)

    async def _deliver(self, event: QueuedEvent, endpoint: Endpoint) -> int | None:
        """None: the next event of the stream may go."""
        means = self._means
        started_ms = means.clock.now_ms()
        private = means.open(endpoint)
        answer = await self._sender.send(
            private.url, event.id, event.payload.encode(), private.signing(started_ms)
        )
        del private
        if answer.trouble is not None:
            log.info(
                "a webhook was not taken",
                endpoint=endpoint.id,
                event_id=event.id,
                attempt=event.attempts + 1,
                why=answer.trouble,
            )
        due_ms = await means.database.write(
            lambda connection: self._record(connection, endpoint, event, answer, started_ms)
        )
        self._is_gone = self._is_gone or answer.is_gone
        return due_ms

    def _record(
        self, connection: Connection, endpoint: Endpoint, event: QueuedEvent, answer: Answer, started_ms: int
    ) -> int | None:
        now_ms = self._means.clock.now_ms()
        self._means.lease.check(connection)
        if answer.trouble is None:
            if record_delivered(connection, event, answer.status or 0, now_ms):
                _log_told(endpoint, event)
            return None
        since_ms = started_ms if event.since_ms is None else event.since_ms
        if answer.is_gone:
            self._means.gone(connection, endpoint)
        elif now_ms - since_ms >= LIFE_MS:
            record_dead(connection, event, answer.status, answer.trouble, since_ms=since_ms, now_ms=now_ms)
            return None
        pause_ms = self._pause_ms(event.attempts)
        due_ms = now_ms + max(pause_ms, min(answer.pause_s * 1000, MAX_PAUSE_MS))
        due_ms = min(due_ms, max(now_ms, since_ms + LIFE_MS))  # the last attempt is at the end of the day
        record_failed(connection, event, answer.status, answer.trouble, since_ms=since_ms, due_ms=due_ms)
        return due_ms

    def _pause(self, pause_ms: int) -> int:
        """Nothing at all can be sent now."""
        self._paused_until_ms = self._means.clock.now_ms() + pause_ms
        return self._paused_until_ms

    def _pause_ms(self, attempts: int) -> int:
        """After so many attempts before this one: half of the exponential pause or more, up to all of it."""
        ceiling = min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** min(attempts, 32))
        return round(self._means.entropy.uniform(ceiling / 2, ceiling))


def _version(endpoint: Endpoint) -> int:
    return endpoint.version


def _log_told(endpoint: Endpoint, event: QueuedEvent) -> None:
    """As the other steps of a payment are logged (`core.intents.steps`)."""
    if event.payment is None:
        return
    data = decode_json(event.payload)["data"]
    log.info(
        "payment told",
        ledger=data["ledger"],
        id=event.payment.hex(),
        request_id=data.get("requestId") or "",
        to=f"webhook {endpoint.name}",
        told=event.kind,
    )
