"""Whether processes work on a database that do not bear what it becomes."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, inspect, select

from strongroom.core.clock import Clock
from strongroom.core.revisions import Revisions
from strongroom.core.storage.database import Database
from strongroom.core.storage.schema import CORE, SchemaState, SchemaUnfit
from strongroom.core.storage.tables import lease as leases
from strongroom.core.storage.tables import replica

LOOK_S = 0.5
SILENT_S = 7.5
"""A living process gives a sign more often: the term of a lease is 7 s long."""
GATHER_S = 2.5
"""So long after the first sign of life the look goes on, to name them all: each gives one every 2 s."""
FORGOTTEN_MS = 60_000
"""Leases that ended so long ago belong to nobody, however much the clocks of hosts differ."""
NOT_PROCESSES = ("migration", "check:")

Term = tuple[str, int, int]
"""Holder, fence and expiry of a lease; of a report its process, 0 and its time."""
Seen = Mapping[str, Term]
"""The signs of life, by the names of leases."""


class ProcessesRunning(SchemaUnfit):
    """Processes of the version before work on the database, and do not bear what the schema becomes."""

    code = "schema_in_use"


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
        for term in connection.execute(terms.where(columns.expires_at_ms > since_ms)):
            if not term.name.startswith(NOT_PROCESSES):
                holder = names.get(term.holder, term.holder)
                signs[term.name] = (holder, term.fence, term.expires_at_ms)
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
