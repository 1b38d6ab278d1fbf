"""Durable events, written in the transaction that caused them, delivered after it in order.

An event belongs to a destination (who gets it) and a stream (for example an account). Within a stream events
are delivered one after the other by sequence; streams never wait for each other. A row is deleted by the
transaction that records its delivery, so delivery is at least once and nothing is lost.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import Connection, delete, select

from strongroom.core.clock import Clock, Entropy
from strongroom.core.messaging.backlog import read_backlog
from strongroom.core.runtime.backoff import Backoff
from strongroom.core.runtime.fault_text import fault_text
from strongroom.core.runtime.telemetry import ComponentHealth, Status
from strongroom.core.runtime.work_health import WorkHealth
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database, insert_ignore

log = structlog.get_logger(__name__)

BATCH = 100
POLL_S = 5.0
FIRST_RETRY_S = 0.5
MAX_RETRY_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    stream: str
    sequence: int
    payload: str
    """JSON text."""


class Outbox:
    """Writes events and tells the dispatchers of this process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._listeners: dict[str, Callable[[str], None]] = {}

    def append(self, connection: Connection, destination: str, events: Sequence[Event]) -> None:
        """Adds events; one that is already there (same destination, stream and sequence) is left as it is."""
        if not events:
            return
        now_ms = self._clock.now_ms()
        rows = [
            {
                "destination": destination,
                "stream": event.stream,
                "sequence": event.sequence,
                "payload": event.payload,
                "created_at_ms": now_ms,
            }
            for event in events
        ]
        insert_ignore(connection, tables.outbox, rows)

    def expire(self, connection: Connection, destination: str, age_ms: int) -> int:
        """Deletes events older than `age_ms` whose destination wants them now or not at all; returns how many."""
        columns = tables.outbox.c
        oldest_ms = self._clock.now_ms() - age_ms
        statement = delete(tables.outbox).where(
            columns.destination == destination, columns.created_at_ms < oldest_ms
        )
        return connection.execute(statement).rowcount

    def wake_delivery(self, destination: str, stream: str) -> None:
        """Wakes the dispatcher; call it after the commit."""
        if listener := self._listeners.get(destination):
            listener(stream)

    def listen(self, destination: str, listener: Callable[[str], None]) -> None:
        self._listeners[destination] = listener


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where events of one name go."""

    name: str
    deliver: Callable[[Event], Awaitable[None]]
    """Raises to be called again."""
    delivered: Callable[[Connection, Event], None]
    """Writes in the transaction that removes the event, once."""
    parallel: int = 32
    """Streams that are told at a time."""


class Dispatcher:
    """Delivers the events of one destination: in order within a stream, streams in parallel."""

    def __init__(
        self,
        destination: Destination,
        *,
        database: Database,
        outbox: Outbox,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._clock = clock
        self._entropy = entropy
        self._destination = destination.name
        self._deliver = destination.deliver
        self._delivered = destination.delivered
        self._slots = asyncio.Semaphore(destination.parallel)
        self._dirty: set[str] = set()
        self._wake = asyncio.Event()
        self._failing: dict[str, str] = {}
        """Why the last attempt failed, by stream."""

    async def run(self, health: WorkHealth | None = None) -> None:
        """Delivers until cancelled. Run it under a lease: two dispatchers would deliver twice.

        `health` learns whether the outbox can be read; `check` tells how the deliveries go.
        """
        self._failing.clear()
        self._outbox.listen(self._destination, self._mark)
        busy: dict[str, asyncio.Task[None]] = {}
        next_scan_s = 0.0
        async with asyncio.TaskGroup() as group:
            while True:
                if self._clock.monotonic_s() >= next_scan_s:
                    self._dirty.update(await self._pending_streams())
                    next_scan_s = self._clock.monotonic_s() + POLL_S
                    if health is not None:
                        health.succeeded()
                for stream in [name for name in self._dirty if name not in busy]:
                    self._dirty.discard(stream)
                    task = group.create_task(self._drain(stream))
                    busy[stream] = task
                    task.add_done_callback(partial(self._ended, busy, stream))
                self._wake.clear()
                if self._dirty.difference(busy):
                    continue
                try:
                    async with asyncio.timeout(POLL_S):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    async def backlog(self) -> int:
        """Events not delivered yet."""
        return (await self._database.read(lambda c: read_backlog(c, self._destination))).entries

    def rest(self) -> None:
        """Forgets what is known of deliveries, because another process delivers now."""
        self._failing.clear()

    def check(self) -> ComponentHealth:
        """DEGRADED while the last attempt at the next event of some streams has failed."""
        if not self._failing:
            return ComponentHealth(status=Status.UP)
        why = next(reversed(self._failing.values()))
        detail = f"{len(self._failing)} streams of events are tried again: {why}"
        return ComponentHealth(status=Status.DEGRADED, detail=detail)

    def _mark(self, stream: str) -> None:
        self._dirty.add(stream)
        self._wake.set()

    def _ended(self, busy: dict[str, asyncio.Task[None]], stream: str, _task: asyncio.Task[None]) -> None:
        busy.pop(stream, None)
        self._wake.set()

    async def _pending_streams(self) -> list[str]:
        query = (
            select(tables.outbox.c.stream).where(tables.outbox.c.destination == self._destination).distinct()
        )
        return [row.stream for row in await self._database.fetch_all(query)]

    async def _drain(self, stream: str) -> None:
        backoff = Backoff(self._clock, self._entropy, first_s=FIRST_RETRY_S, cap_s=MAX_RETRY_S)
        while True:
            try:
                events = await self._next_events(stream)
                if not events:
                    self._failing.pop(stream, None)
                    return
                for event in events:
                    async with self._slots:
                        await self._deliver(event)
                    await self._forget(event)
                    self._failing.pop(stream, None)
                    backoff.reset()
            except Exception as error:  # noqa: BLE001 - whatever went wrong, the event stays and is tried again
                self._failing[stream] = fault_text(error)
                log.warning(
                    "event not delivered",
                    destination=self._destination,
                    stream=stream,
                    attempt=backoff.attempts + 1,
                    error=self._failing[stream],
                )
                await backoff.wait()

    async def _next_events(self, stream: str) -> list[Event]:
        columns = tables.outbox.c
        query = (
            select(columns.stream, columns.sequence, columns.payload)
            .where(columns.destination == self._destination, columns.stream == stream)
            .order_by(columns.sequence)
            .limit(BATCH)
        )
        rows = await self._database.fetch_all(query)
        return [Event(stream=row.stream, sequence=row.sequence, payload=row.payload) for row in rows]

    async def _forget(self, event: Event) -> None:
        columns = tables.outbox.c

        def work(connection: Connection) -> None:
            removed = connection.execute(
                delete(tables.outbox).where(
                    columns.destination == self._destination,
                    columns.stream == event.stream,
                    columns.sequence == event.sequence,
                )
            )
            if removed.rowcount:  # else a predecessor, stopped while it did this, has recorded it
                self._delivered(connection, event)

        await self._database.write(work)
