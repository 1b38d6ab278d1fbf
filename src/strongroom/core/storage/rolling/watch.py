"""Whether a running process bears the schema that its database has now."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog
from sqlalchemy import Connection, String, select
from sqlalchemy.sql import column, table

from strongroom.core.clock import Clock
from strongroom.core.errors import Unavailable
from strongroom.core.revisions import Revisions
from strongroom.core.runtime.telemetry import ComponentHealth, Status
from strongroom.core.storage.database import Database, Work
from strongroom.core.storage.schema import CORE

log = structlog.get_logger(__name__)

T = TypeVar("T")

EPOCH = re.compile(r"[A-Za-z]\w*?(?:_e([1-9][0-9]*))?_[0-9]+")
STALE_S = 20.0
"""After this time without a look at the schema a process looks before it writes: it may have been paused."""


class SchemaNewer(Unavailable):
    """A newer version has changed the schema so that this process must write nothing."""

    code = "schema_newer"


def epoch(revision: str) -> int | None:
    """The epoch that the id of a revision names; None: it is no id of this form, and nobody bears it."""
    found = EPOCH.fullmatch(revision)
    return None if found is None else int(found[1] or 0)


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
