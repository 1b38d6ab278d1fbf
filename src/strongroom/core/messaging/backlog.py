"""Measures what waits in the outbox for a destination, so that health shows a receiver that has been away for an hour."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from strongroom.core.clock import Clock
from strongroom.core.coordination.loops import Loops
from strongroom.core.environment import Environment
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
    """Age of the oldest entry."""


def read_backlog_limits(environment: Environment) -> BacklogLimits:
    """`STRONGROOM_BACKLOG_ENTRIES` and `STRONGROOM_BACKLOG_AGE_S`: one pair for all ledgers."""
    return BacklogLimits(
        entries=environment.integer("STRONGROOM_BACKLOG_ENTRIES", MAX_ENTRIES, low=1),
        age_s=environment.integer("STRONGROOM_BACKLOG_AGE_S", MAX_WAIT_S, low=1),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    entries: int
    oldest_ms: int | None
    """When the oldest entry was written."""


def read_backlog(connection: Connection, destination: str, after_id: int = 0) -> Backlog:
    """What waits for `destination`; `after_id` where its reader takes nothing out and knows how far it is."""
    columns = tables.outbox.c
    waiting = (columns.destination == destination, columns.id > after_id)
    # Both come out of the index of destinations, without a look into the rows.
    entries, oldest = connection.execute(select(func.count(), func.min(columns.id)).where(*waiting)).one()
    written = select(columns.created_at_ms).where(columns.id == oldest)
    return Backlog(entries=int(entries), oldest_ms=connection.execute(written).scalar())


class BacklogWatch:
    """Looks at one destination's backlog, for health and metrics. Every process may: it only reads."""

    def __init__(
        self,
        destination: str,
        *,
        database: Database,
        clock: Clock,
        metrics: Metrics,
        limits: BacklogLimits,
        place: Callable[[], int] = lambda: 0,
    ) -> None:
        """`place`: the last id that a reader has passed which takes nothing out."""
        self._destination = destination
        self._database = database
        self._clock = clock
        self._limits = limits
        self._place = place
        self._backlog = Backlog(entries=0, oldest_ms=None)
        metrics.outbox_entries.labels(destination).set_function(lambda: self._backlog.entries)
        metrics.outbox_age.labels(destination).set_function(self.age_s)

    async def look(self) -> None:
        after_id = self._place()
        self._backlog = await self._database.read(lambda c: read_backlog(c, self._destination, after_id))

    def age_s(self) -> float:
        """Age of the oldest entry; 0 where there is none."""
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
    """Reports two parts of the component `name`: how much waits, and whether that can be read."""
    loops.check(name, watch.check, part="backlog")
    loops.start(loops.every(name, LOOK_S, watch.look, part="look"))
