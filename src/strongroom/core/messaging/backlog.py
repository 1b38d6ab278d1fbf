"""Measures the undelivered events of a destination, so that health shows a receiver that does not take them."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from strongroom.core.clock import Clock
from strongroom.core.coordination.loops import Loops
from strongroom.core.environment import Environment
from strongroom.core.runtime.readings import Sample
from strongroom.core.runtime.telemetry import ComponentHealth, Metrics, Status
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database

LOOK_S = 10.0
MAX_ENTRIES = 1_000
MAX_WAIT_S = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class BacklogLimits:
    """The backlog at which a component becomes DEGRADED."""

    entries: int = MAX_ENTRIES
    age_s: int = MAX_WAIT_S
    """The age of the oldest entry, in seconds."""


def read_backlog_limits(environment: Environment) -> BacklogLimits:
    """Reads `STRONGROOM_BACKLOG_ENTRIES` and `STRONGROOM_BACKLOG_AGE_S`, which apply to all ledgers."""
    return BacklogLimits(
        entries=environment.integer("STRONGROOM_BACKLOG_ENTRIES", MAX_ENTRIES, low=1),
        age_s=environment.integer("STRONGROOM_BACKLOG_AGE_S", MAX_WAIT_S, low=1),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """The number and age of undelivered events."""

    entries: int
    oldest_ms: int | None
    """When the oldest entry was written."""


def read_backlog(connection: Connection, destination: str, after_id: int = 0) -> Backlog:
    """The backlog of a destination. For an outbox reader, which deletes nothing, `after_id` is the last id that it has read."""
    columns = tables.outbox.c
    waiting = (columns.destination == destination, columns.id > after_id)
    # The index on destinations answers both, without reading the rows.
    entries, oldest = connection.execute(select(func.count(), func.min(columns.id)).where(*waiting)).one()
    written = select(columns.created_at_ms).where(columns.id == oldest)
    return Backlog(entries=int(entries), oldest_ms=connection.execute(written).scalar())


class BacklogWatch:
    """Watches one destination's backlog for health and metrics. It only reads, so every process may run it."""

    def __init__(
        self,
        ledger: str,
        destination: str,
        *,
        database: Database,
        clock: Clock,
        metrics: Metrics,
        limits: BacklogLimits,
        last_read_id: Callable[[], int] = lambda: 0,
    ) -> None:
        """`last_read_id` returns the last id that an outbox reader of this destination has read."""
        self._destination = destination
        self._database = database
        self._clock = clock
        self._limits = limits
        self._last_read_id = last_read_id
        self._backlog = Backlog(entries=0, oldest_ms=None)
        self._labels = (ledger, destination)
        names = ("ledger", "destination")
        self._entries = metrics.reading(
            "strongroom_outbox_entries", "Events that wait to be delivered.", names
        )
        self._age = metrics.reading(
            "strongroom_outbox_oldest_age_seconds", "How long the oldest event has waited.", names
        )

    async def look(self) -> list[Sample]:
        after_id = self._last_read_id()
        self._backlog = await self._database.read(lambda c: read_backlog(c, self._destination, after_id))
        return [
            Sample(self._entries, self._labels, self._backlog.entries),
            Sample(self._age, self._labels, self.age_s),
        ]

    @property
    def title(self) -> str:
        return f"outbox {self._destination}"

    def age_s(self) -> float:
        """The age of the oldest entry in seconds; 0 if there is none."""
        oldest_ms = self._backlog.oldest_ms
        return 0.0 if oldest_ms is None else max(0, self._clock.now_ms() - oldest_ms) / 1000

    def check(self) -> ComponentHealth:
        entries, age_s = self._backlog.entries, self.age_s()
        if not entries:
            return ComponentHealth(status=Status.UP)
        is_much = entries > self._limits.entries or age_s > self._limits.age_s
        detail = f"{entries} entries wait, the oldest for {age_s:.0f} s"
        return ComponentHealth(status=Status.DEGRADED if is_much else Status.UP, detail=detail)


def watch_backlog(loops: Loops, name: str, watch: BacklogWatch) -> None:
    """Adds two parts to the component `name`: the size of the backlog, and whether it can be read."""
    loops.check(name, watch.check, part="backlog")
    loops.start(loops.collect(name, watch.title, watch.look, every_s=LOOK_S))
