"""Old and new processes on one database while an upgrade rolls over them.

Running processes bear a revision if all that they read and write stays right under it: it adds tables, indexes, and columns that
may be missing in a row. Such a revision says `BORNE = True`. One that does not begins a new epoch: its id and those of the
revisions after it have the epoch's number (`core_e1_0023`). So a process that finds a revision which it does not know sees by the
id alone whether it bears it.

A revision that running processes do not bear is applied only while no process holds a lease. A process that finds one
nevertheless writes nothing more (`SchemaWatch`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog
from sqlalchemy import Connection, String, inspect, select
from sqlalchemy.sql import column, table

from strongroom.core.clock import Clock
from strongroom.core.errors import Unavailable
from strongroom.core.runtime.telemetry import ComponentHealth, Status
from strongroom.core.storage.database import Database, Work
from strongroom.core.storage.schema import CORE, Revisions, SchemaState, SchemaUnfit
from strongroom.core.storage.tables import lease as leases
from strongroom.core.storage.tables import replica

log = structlog.get_logger(__name__)

T = TypeVar("T")

EPOCH = re.compile(r"[A-Za-z]\w*?(?:_e([1-9][0-9]*))?_[0-9]+")
LOOK_S = 0.5
SILENT_S = 7.5
"""A living process gives a sign more often: the term of a lease is 7 s long."""
GATHER_S = 2.5
"""So long after the first sign of life the look goes on, to name them all: each gives one every 2 s."""
FORGOTTEN_MS = 60_000
"""Leases that ended so long ago belong to nobody, however much the clocks of hosts differ."""
NOT_PROCESSES = ("migration", "check:")
STALE_S = 20.0
"""After this time without a look at the schema a process looks before it writes: it may have been paused."""

Term = tuple[str, int, int]
"""Holder, fence and expiry of a lease; of a report its process, 0 and its time."""
Seen = Mapping[str, Term]
"""The signs of life, by the names of leases."""


class ProcessesRunning(SchemaUnfit):
    """Processes of the version before work on the database, and do not bear what the schema becomes."""

    code = "schema_in_use"


class SchemaNewer(Unavailable):
    """A newer version has changed the schema so that this process must write nothing."""

    code = "schema_newer"


def epoch(revision: str) -> int | None:
    """The epoch that the id of a revision names; None: it is no id of this form, and nobody bears it."""
    found = EPOCH.fullmatch(revision)
    return None if found is None else int(found[1] or 0)


def not_borne(components: Sequence[Revisions], states: Sequence[SchemaState]) -> list[str]:
    """The missing revisions of components that are there already, without those that running processes bear."""
    return [
        revision
        for component, state in zip((CORE, *components), states, strict=True)
        if state.current is not None
        for revision in state.pending
        if not getattr(component.script.get_revision(revision).module, "BORNE", False)
    ]


def read_signs(connection: Connection, now_ms: int) -> Seen:
    """The leases of processes and their reports that they hold keys, without what was given back or ended long ago."""
    since_ms = now_ms - FORGOTTEN_MS
    tables = inspect(connection)
    names: dict[str, str] = {}
    signs: dict[str, Term] = {}
    if tables.has_table(replica.name):
        reports = select(replica.c.holder, replica.c.name, replica.c.seen_at_ms)
        for row in connection.execute(reports.where(replica.c.seen_at_ms > since_ms)):
            names[row.holder] = row.name
            signs[f"keys of {row.holder}"] = (row.name, 0, row.seen_at_ms)
    if tables.has_table(leases.name):
        columns = leases.c
        terms = select(columns.name, columns.holder, columns.fence, columns.expires_at_ms)
        for row in connection.execute(terms.where(columns.expires_at_ms > since_ms)):
            if not row.name.startswith(NOT_PROCESSES):
                holder = names.get(row.holder, row.holder)
                signs[row.name] = (holder, row.fence, row.expires_at_ms)
    return signs


async def require_nobody(database: Database, revisions: Sequence[str]) -> Seen:
    """Makes sure that no process works on the database; returns what those left that were killed.

    It looks for seconds where something was left within a minute: whoever left it may live.

    Raises:
        ProcessesRunning: one does.
    """
    clock = database.clock
    first = await _signs(database, clock)
    living: dict[str, list[str]] = {}
    until_s = clock.monotonic_s() + SILENT_S
    while first and clock.monotonic_s() < until_s:
        await clock.sleep(LOOK_S)
        found = await _signs(database, clock)
        for name, term in found.items():
            if first.get(name) != term and name not in living.get(term[0], ()):
                if not living:
                    until_s = clock.monotonic_s() + GATHER_S
                living.setdefault(term[0], []).append(name)
    if living:
        raise running(living, revisions)
    return first


def require_still_nobody(connection: Connection, clock: Clock, seen: Seen, revisions: Sequence[str]) -> None:
    """Makes sure, where nobody else can migrate any more, that no process has begun since. Raises as `require_nobody`."""
    now = read_signs(connection, clock.now_ms())
    if new := {name: term for name, term in now.items() if seen.get(name) != term}:
        raise running({holder: [name] for name, (holder, *_) in new.items()}, revisions)


def running(living: Mapping[str, Sequence[str]], revisions: Sequence[str]) -> ProcessesRunning:
    names = "; ".join(
        f"{holder} (holds {', '.join(sorted(names))})" for holder, names in sorted(living.items())
    )
    return ProcessesRunning(
        f"Running processes do not bear what {', '.join(revisions)} makes of the schema, and these work on the database: {names}."
        " Nothing was changed. Stop all processes of the version before (SIGTERM), then start this one again"
    )


async def _signs(database: Database, clock: Clock) -> Seen:
    return await database.read(lambda connection: read_signs(connection, clock.now_ms()))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What this process knows of one component. It is read once: an upgrade replaces the files of a running process."""

    component: str
    version_table: str
    revisions: frozenset[str]
    epoch: int | None


class SchemaWatch:
    """Whether this process bears the schema that the database has now. `Database.write` asks it."""

    def __init__(self, components: Sequence[Revisions], clock: Clock) -> None:
        self._clock = clock
        self._known = [_known(one) for one in (CORE, *components)]
        self._looked_s = clock.monotonic_s()
        self._newer: tuple[str, ...] = ()
        self._refusal: SchemaNewer | None = None

    async def look(self, database: Database) -> None:
        """One pass of the check of the database.

        Raises:
            SchemaNewer: this process does not bear the schema, and writes nothing more.
        """
        await database.read(self.read)
        if self._refusal is not None:
            raise self._refusal

    def read(self, connection: Connection) -> None:
        """Reads the versions, and remembers what follows."""
        unknown: list[str] = []
        refused: list[str] = []
        for one in self._known:
            current = _version(connection, one)
            if current not in one.revisions:
                unknown.append(current)
                if one.epoch is None or epoch(current) != one.epoch:
                    refused.append(current)
        self._note(tuple(unknown), refused)
        self._looked_s = self._clock.monotonic_s()

    def guarded(self, work: Work[T]) -> Work[T]:
        """`work`, which looks at the schema first if this process has not done so for long.

        Raises:
            SchemaNewer: this process does not bear the schema.
        """
        if self._refusal is not None:
            raise self._refusal
        if self._clock.monotonic_s() - self._looked_s < STALE_S:
            return work

        def looking(connection: Connection) -> T:
            self.read(connection)
            if self._refusal is not None:
                raise self._refusal
            return work(connection)

        return looking

    def check(self) -> ComponentHealth:
        """For health."""
        if self._refusal is not None:
            return ComponentHealth(status=Status.DOWN, detail=self._refusal.message)
        if self._newer:
            detail = (
                f"a newer version has changed the schema ({', '.join(self._newer)}), which this process bears"
            )
            return ComponentHealth(status=Status.UP, detail=detail)
        return ComponentHealth(status=Status.UP)

    def _note(self, unknown: tuple[str, ...], refused: Sequence[str]) -> None:
        if unknown == self._newer:
            return
        self._newer = unknown
        self._refusal = None
        if refused:
            self._refusal = SchemaNewer(
                f"A newer version of Strongroom has changed the database's schema ({', '.join(refused)}), and this process does not"
                " bear it: it signs and writes nothing more. Stop it, and start the new version"
            )
            log.error("the schema is newer: this process writes nothing more", revisions=unknown)
        elif unknown:
            log.warning("the schema is newer, and this process bears it", revisions=unknown)


def _known(component: Revisions) -> _Known:
    script = component.script
    return _Known(
        component=component.component,
        version_table=component.version_table,
        revisions=frozenset(one.revision for one in script.walk_revisions()),
        epoch=epoch(str(script.get_current_head())),
    )


def _version(connection: Connection, one: _Known) -> str:
    query = select(column("version_num", String)).select_from(table(one.version_table))
    return " and ".join(sorted(connection.execute(query).scalars())) or "nothing"
