"""Durable events: written in the transaction that causes them, and delivered in order after its commit.

An event has a destination (its receiver) and a stream (for example an account). The events of a stream are delivered one after
the other, by sequence; streams do not wait for each other. The transaction that records a delivery deletes the event's row. So
every event is delivered at least once, and none is lost.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import Connection, bindparam, delete, func, select, update

from strongroom.core.clock import Clock, Entropy
from strongroom.core.errors import StrongroomError
from strongroom.core.messaging.backlog import read_backlog
from strongroom.core.runtime.backoff import Backoff
from strongroom.core.runtime.fault_text import fault_text
from strongroom.core.runtime.telemetry import ComponentHealth, Status
from strongroom.core.runtime.work_health import WorkHealth
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database, insert_ignore

log = structlog.get_logger(__name__)

_FAIL = (
    update(tables.outbox)
    .where(tables.outbox.c.id == bindparam("event_id"))
    .values(attempts=func.coalesce(tables.outbox.c.attempts, 0) + 1, trouble=bindparam("why"))
)
BATCH = 100
POLL_S = 5.0
FIRST_RETRY_S = 0.5
MAX_RETRY_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of a stream."""

    stream: str
    sequence: int
    payload: str
    """JSON text."""
    attempts: int = 0
    """How often its delivery has failed."""


class Outbox:
    """Writes events and wakes the dispatchers of this process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._listeners: dict[str, Callable[[str], None]] = {}
        self._hearers: dict[str, Callable[[Connection, Sequence[Event]], None]] = {}

    def hear(self, destination: str, hearer: Callable[[Connection, Sequence[Event]], None]) -> None:
        """`hearer` gets what is added for the destination, in the transaction that adds it."""
        self._hearers[destination] = hearer

    def append(self, connection: Connection, destination: str, events: Sequence[Event]) -> None:
        """Adds events. An event that exists already (same destination, stream and sequence) stays as it is."""
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
        if hearer := self._hearers.get(destination):
            hearer(connection, events)

    def expire(self, connection: Connection, destination: str, age_ms: int) -> int:
        """Deletes events older than `age_ms`, for a destination that has no use for old events; returns how many."""
        columns = tables.outbox.c
        oldest_ms = self._clock.now_ms() - age_ms
        statement = delete(tables.outbox).where(
            columns.destination == destination, columns.created_at_ms < oldest_ms
        )
        return connection.execute(statement).rowcount

    def wake_delivery(self, destination: str, stream: str) -> None:
        """Wakes the dispatcher; callers do so after the commit."""
        if listener := self._listeners.get(destination):
            listener(stream)

    def listen(self, destination: str, listener: Callable[[str], None]) -> None:
        self._listeners[destination] = listener


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """The receiver of the events with its name."""

    name: str
    deliver: Callable[[Event], Awaitable[None]]
    """Delivers one event. If it raises, it is called again later."""
    delivered: Callable[[Connection, Event], None]
    """Called once for each event, in the transaction that deletes it."""
    parallel: int = 32
    """How many streams are delivered at the same time."""


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
        """Delivers until cancelled. It runs under a lease, because two dispatchers would deliver everything twice.

        `health` learns whether the outbox can be read; `check` reports on the deliveries.
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
        """The number of events that are not delivered yet."""
        return (await self._database.read(lambda c: read_backlog(c, self._destination))).entries

    def rest(self) -> None:
        """Forgets what is known of deliveries, because another process delivers now."""
        self._failing.clear()

    def check(self) -> ComponentHealth:
        """Health: DEGRADED while the last attempt to deliver the next event of a stream has failed."""
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
            tried: int | None = None
            try:
                events = await self._next_events(stream)
                if not events:
                    self._failing.pop(stream, None)
                    return
                for event_id, event in events:
                    tried = event_id
                    async with self._slots:
                        await self._deliver(event)
                    tried = None
                    was_there = await self._forget(event_id, event)
                    self._failing.pop(stream, None)
                    backoff.reset()
                    if not was_there:
                        break  # what was read with it may be taken back too
            except Exception as error:  # noqa: BLE001 - after any error the event stays and is tried again
                self._failing[stream] = fault_text(error)
                log.warning(
                    "event not delivered",
                    destination=self._destination,
                    stream=stream,
                    attempt=backoff.attempts + 1,
                    error=self._failing[stream],
                )
                if tried is not None:
                    await self._note_failure(tried, self._failing[stream])
                await backoff.wait()

    async def _next_events(self, stream: str) -> list[tuple[int, Event]]:
        """The stream's oldest events, each with the id of its row."""
        columns = tables.outbox.c
        query = (
            select(columns.id, columns.stream, columns.sequence, columns.payload, columns.attempts)
            .where(columns.destination == self._destination, columns.stream == stream)
            .order_by(columns.sequence)
            .limit(BATCH)
        )
        rows = await self._database.fetch_all(query)
        return [
            (
                row.id,
                Event(
                    stream=row.stream,
                    sequence=row.sequence,
                    payload=row.payload,
                    attempts=row.attempts or 0,
                ),
            )
            for row in rows
        ]

    async def _note_failure(self, event_id: int, why: str) -> None:
        """Stores why an event waits, so that every process can tell."""
        try:
            await self._database.write(
                lambda connection: connection.execute(_FAIL, {"event_id": event_id, "why": why}).rowcount
            )
        except StrongroomError as error:  # it is for people alone, and the event is tried again
            log.warning("the reason is not stored", destination=self._destination, error=fault_text(error))

    async def _forget(self, event_id: int, event: Event) -> bool:
        """Deletes a delivered event and records the delivery; False if its row was gone.

        The previous dispatcher may have recorded this delivery while it was stopped, or the event was taken back. Another event
        may have its sequence by then, so that only the row's id names it.
        """

        def work(connection: Connection) -> bool:
            removed = connection.execute(delete(tables.outbox).where(tables.outbox.c.id == event_id))
            if removed.rowcount:
                self._delivered(connection, event)
            return removed.rowcount > 0

        return await self._database.write(work)
