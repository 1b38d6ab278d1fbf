"""The sync: it follows the node's events for as long as this process leads.

The sync reads the event stream with a window. A batch is all that came while the batch before was applied. The sync
acknowledges once a whole window is applied, because the node sends again what it sent after the acknowledged id. Far
behind, the sync reads pages over HTTP instead.

After any failure the sync begins again at the last event in the database. That id is written in the transaction of the
events themselves, so no event is lost and none is applied twice.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import structlog
from sqlalchemy import Connection

from strongroom.core.clock import Clock, Entropy
from strongroom.core.coordination.lease import Lease
from strongroom.core.errors import LeaseLost, OutcomeUnknown, Unavailable
from strongroom.core.messaging.outbox import Outbox
from strongroom.core.runtime.backoff import Backoff
from strongroom.core.runtime.fault_text import fault_text
from strongroom.core.runtime.telemetry import Status
from strongroom.core.runtime.work_health import WorkHealth
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import DatabaseUnavailable
from strongroom.hathor.gateway import EventNode, EventStream
from strongroom.hathor.index.writer_lock import lock_ledger
from strongroom.hathor.notifications import outbox as pushes
from strongroom.hathor.notifications.messages import DESTINATION
from strongroom.hathor.protocol.addresses import Network
from strongroom.hathor.protocol.events import KNOWN_EVENTS, Event, Frame, RawEvent, read_event
from strongroom.hathor.sync.batch import Applied, EventGapError, Rules, apply_batch
from strongroom.hathor.sync.metrics import SyncMetrics
from strongroom.hathor.sync.pages import PageReader
from strongroom.hathor.sync.source import Pins, WrongSourceError, check_source, compare_end
from strongroom.hathor.sync.window import FIRST, Interrupted, Window

log = structlog.get_logger(__name__)

IDLE_S = 5.0
"""After so much silence the sync asks the node whether there is more."""
FAR = 100
"""More events behind than this, the sync reads pages; `benchmarks/hathor_catch_up.py` compares them with the stream."""
WITHOUT_PAGES_S = 60.0
"""So long the sync stays with the stream after a page failed."""
PROGRESS_S = 30.0
"""So often the log says how far the sync is while it catches up."""
FIRST_RETRY_S = 0.25
MAX_RETRY_S = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncSettings:
    network: Network
    pins: Pins
    window: int = 2_000
    idle_s: float = IDLE_S
    push_age_s: int | None = None
    """As in `Rules`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReports:
    """Where the sync reports its state to."""

    health: WorkHealth
    node_health: WorkHealth
    """The node as this connection sees it."""
    metrics: SyncMetrics


class EventRefusedError(Exception):
    """An event cannot be applied. The sync stops there: with an event left out, every later balance would be wrong."""

    def __init__(self, event_id: int, kind: str, why: str) -> None:
        super().__init__(f"Event {event_id} ({kind}) cannot be applied: {why}")


OURS = (Interrupted, EventGapError, EventRefusedError)
"""Errors whose messages health shows as they are. Messages of others may hold what is not for everybody's eyes."""
BEYOND_THE_EVENTS = (DatabaseUnavailable, OutcomeUnknown, LeaseLost, EventGapError, WrongSourceError)
"""Failures of a batch that no event of it causes. Half of the batch would fail in the same way."""


class Sync:
    """One follower. `run` is the work of a leader: where two run at once, the lease refuses the writes of one."""

    def __init__(
        self,
        *,
        database: Database,
        node: EventNode,
        clock: Clock,
        entropy: Entropy,
        outbox: Outbox,
        reports: SyncReports,
        settings: SyncSettings,
    ) -> None:
        self._database = database
        self._node = node
        self._clock = clock
        self._outbox = outbox
        self._health = reports.health
        self._node_health = reports.node_health
        self._metrics = reports.metrics
        self._settings = settings
        self._backoff = Backoff(clock, entropy, first_s=FIRST_RETRY_S, cap_s=MAX_RETRY_S)
        # The last event in the database, as far as this process knows.
        self._last_id = -1
        self._no_pages_until_s = -math.inf
        self._complete_s = clock.monotonic_s()
        """When it last had all events of the node, or began."""

    async def run(self, lease: Lease) -> None:
        """Follows until cancelled.

        Raises:
            WrongSourceError: the node is another one; trying again cannot help.
            LeaseLost: another process leads.
        """
        self._complete_s = self._clock.monotonic_s()
        self._metrics.begin(lambda: self._clock.monotonic_s() - self._complete_s)
        try:
            await self._run(lease)
        finally:
            self._metrics.end()

    async def _run(self, lease: Lease) -> None:
        while True:
            try:
                rules = await self.read_rules()
                # Another process may have led, or a commit of ours arrived whose answer did not.
                self._last_id = await self._database.write(lock_ledger)
                await self._follow(lease, rules)
            except WrongSourceError as error:
                self._health.failed(str(error), status=Status.DOWN)
                raise
            except LeaseLost:
                raise
            except Exception as error:  # noqa: BLE001 - whatever failed, the sync begins again at the last event applied
                self._metrics.reconnects.inc()
                self._metrics.forget()
                self._health.failed(str(error) if isinstance(error, OURS) else error)
                # `DatabaseUnavailable` is an `Unavailable` too, and says nothing about the node.
                if isinstance(error, Unavailable) and not isinstance(error, DatabaseUnavailable):
                    self._node_health.failed(error)
            await self._backoff.wait()

    async def read_rules(self) -> Rules:
        """Asks the node for its settings, and returns the rules of a batch. Raises: Unavailable."""
        version = await self._node.version()
        return Rules(
            network=self._settings.network,
            reward_spend_min_blocks=version.reward_spend_min_blocks,
            push_age_s=self._settings.push_age_s,
        )

    async def _follow(self, lease: Lease, rules: Rules) -> None:
        """Follows over one connection, until that fails."""
        window, checked = Window(self._last_id, self._settings.window, self._metrics), False
        async with self._node.stream() as stream:
            await stream.start(self._last_id, FIRST)
            while True:
                frames = await stream.next_frames(self._settings.window, self._settings.idle_s)
                if not frames:
                    await self._ask(lease, rules, stream, window)
                    continue
                events = window.events_of(frames)
                # Only an event says which node and which stream this is; nothing of another one may be applied.
                if events and not checked:
                    await self._check(events[0])
                    checked = True
                if new := window.new_events(events):
                    latest_id = events[-1].latest_event_id
                    await self._apply(lease, rules, new, latest_id)
                    # What waits in the stream's buffer is read already, and no page need bring it.
                    behind = latest_id - self._last_id - stream.waiting
                    if behind > FAR and self._clock.monotonic_s() >= self._no_pages_until_s:
                        await self._catch_up(lease, rules, stream, window, behind)
                if self._last_id > window.received:  # pages brought later events: the stream jumps to them
                    await stream.restart(self._last_id, window.restart(self._last_id))
                elif window.due:
                    await stream.acknowledge(*window.acknowledge())

    async def _catch_up(
        self, lease: Lease, rules: Rules, stream: EventStream, window: Window, behind: int
    ) -> None:
        """Reads pages up to the end, or near it. The stream stays open: it has shown which node this is."""
        log.info("catching up", after=self._last_id, behind=behind)
        told_s = self._clock.monotonic_s()
        async with PageReader(self._node, self._last_id) as reader:
            while True:
                read = await reader.take()
                latest_id = read.pages[-1].latest_event_id if read.pages else self._last_id
                if read.pages:
                    await self._apply(lease, rules, read.events, latest_id)
                if isinstance(read.failure, Unavailable):
                    # A public node limits its pages, another has none; both have the stream.
                    log.warning("pages fail, the stream is read instead", error=read.failure.message)
                    self._no_pages_until_s = self._clock.monotonic_s() + WITHOUT_PAGES_S
                    return
                if read.failure is not None:
                    raise read.failure
                if self._clock.monotonic_s() - told_s >= PROGRESS_S:
                    told_s = self._clock.monotonic_s()
                    log.info("still catching up", after=self._last_id, behind=latest_id - self._last_id)
                # The stream is read on, so that a refusal is noticed and its buffer does not fill.
                window.events_of(await stream.next_frames(self._settings.window, 0))
                if read.is_end or latest_id - self._last_id <= FAR:
                    log.info("caught up", last=self._last_id)
                    return

    async def _ask(self, lease: Lease, rules: Rules, stream: EventStream, window: Window) -> None:
        """After silence: opens the locks whose time has come, and asks the node whether there is more.

        Raises:
            Interrupted: there is more, and the stream does not say so.
            WrongSourceError: the node's queue ends before the last event that was applied.
        """
        await self._apply(lease, rules, [], None)
        more = await self._has_more()
        if stream.waiting:
            return  # events came while the node was asked, and may be those it spoke of
        if more:
            self._metrics.gaps.inc()
        # An acknowledgement makes the node send again what came after it, which mends a gap without a new connection.
        if window.owed:
            await stream.acknowledge(*window.acknowledge())
        elif more:
            raise Interrupted(f"The stream is silent, but there are events after {self._last_id}")

    async def _has_more(self) -> bool:
        try:
            page = await self._node.page(self._last_id)
        except Unavailable as error:
            self._node_health.failed(error)
            self._metrics.forget()
            return False
        self._node_health.succeeded()
        compare_end(page.latest_event_id, self._last_id)
        self._know(max(0, page.latest_event_id - self._last_id))
        return bool(page.events)

    async def _check(self, frame: Frame) -> None:
        pins = self._settings.pins
        await self._database.write(lambda connection: check_source(connection, frame, pins))

    async def _apply(
        self, lease: Lease, rules: Rules, raw: Sequence[RawEvent], latest_id: int | None
    ) -> None:
        """Applies a batch, and wakes the deliveries to those whom it concerns.

        Where one event is impossible, the events before it are applied.

        Raises:
            EventRefusedError: an event is impossible; the next attempt begins at it.
        """
        events, broken = _read(raw)
        started_s = self._clock.monotonic_s()
        try:
            applied = await self._write(lease, rules, events)
        except BEYOND_THE_EVENTS:
            raise
        except Exception as error:
            if not events:
                raise
            if len(events) == 1:
                self._metrics.refused.inc()
                raise EventRefusedError(events[0].id, events[0].type, fault_text(error)) from error
            # One event of the batch is impossible; halving finds it and keeps all that came before.
            half = len(events) // 2
            await self._apply(lease, rules, raw[:half], None)
            await self._apply(lease, rules, raw[half:], latest_id)
            return
        self._last_id = applied.last_event_id
        for wallet_id in applied.wallets:
            self._outbox.wake_delivery(DESTINATION, wallet_id)
        for device in applied.devices:
            self._outbox.wake_delivery(pushes.DESTINATION, device)
        self._note(events, applied, latest_id, self._clock.monotonic_s() - started_s)
        if broken is not None:
            self._metrics.refused.inc()
            raise broken
        self._health.succeeded()
        if events:
            self._node_health.succeeded()

    async def _write(self, lease: Lease, rules: Rules, events: list[Event]) -> Applied:
        now_s = self._clock.now_ms() // 1000

        def work(connection: Connection) -> Applied:
            lease.check(connection)
            return apply_batch(connection, events, rules, self._outbox, now_s)

        return await self._database.write(work)

    def _note(self, events: list[Event], applied: Applied, latest_id: int | None, took_s: float) -> None:
        metrics = self._metrics
        for event in events:
            if event.type not in KNOWN_EVENTS:
                metrics.count_unknown(event.type)
        if applied.events:
            metrics.events.inc(applied.events)
            metrics.batch.observe(took_s)
            self._backoff.reset()
        metrics.applied(applied.last_event_id)
        if latest_id is not None:
            self._know(max(0, latest_id - applied.last_event_id))

    def _know(self, behind: int) -> None:
        self._metrics.know(behind)
        if not behind:
            self._complete_s = self._clock.monotonic_s()


def _read(raw: Sequence[RawEvent]) -> tuple[list[Event], EventRefusedError | None]:
    """Decodes events, up to the first that is not understood; returns why that one is not."""
    events: list[Event] = []
    for event in raw:
        try:
            events.append(read_event(event))
        except msgspec.DecodeError as error:
            return events, EventRefusedError(event.id, event.type, f"it is not understood: {error}")
    return events, None
