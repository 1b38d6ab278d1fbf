"""Checks the tagged rows of a running ledger, and reports what is wrong in health, log and audit trail."""

from collections.abc import Sequence
from functools import partial
from typing import Final

import structlog
from sqlalchemy import Connection

from strongroom.core.coordination.loops import Loops
from strongroom.core.errors import Sealed
from strongroom.core.guard.rows.binding import SYSTEM
from strongroom.core.guard.rows.check import RowProblem, find_problems
from strongroom.core.runtime.telemetry import ComponentHealth, Status
from strongroom.core.security.audit import Audit
from strongroom.core.storage.database import Database

log = structlog.get_logger(__name__)

CHECK_S: Final = 60.0
REFUSED: Final = "rows.refuse"
SHOWN: Final = 3


class RowWatch:
    """Looks once a minute. Whatever it finds counts for nothing before, too: each row is checked where it is used."""

    def __init__(self, database: Database, audit: Audit) -> None:
        self._database = database
        self._audit = audit
        self._problems: Sequence[RowProblem] = ()
        self._told: set[RowProblem] = set()

    def start(self, loops: Loops, component: str) -> None:
        loops.check(component, self.check, part="rows")
        loops.start(loops.every(component, CHECK_S, self.look, part="check"))

    async def look(self) -> None:
        """Raises: Unavailable: the database does not answer."""
        try:
            self._problems = await self._database.read(partial(find_problems, key=self._audit.key))
            fresh = [one for one in self._problems if one not in self._told]
            if fresh:
                await self._database.write(partial(self._write_down, fresh=fresh))
        except Sealed:
            return  # it cannot be told now, and health says so elsewhere
        self._told = {*self._problems}
        for one in fresh:
            log.error("a row counts for nothing", row=one.name, why=one.words)

    def check(self) -> ComponentHealth:
        if not self._problems:
            return ComponentHealth(status=Status.UP)
        parts = [one.words for one in self._problems[:SHOWN]]
        if len(self._problems) > SHOWN:
            parts.append(f"and {len(self._problems) - SHOWN} more")
        return ComponentHealth(status=Status.DEGRADED, detail="; ".join(parts))

    def _write_down(self, connection: Connection, fresh: Sequence[RowProblem]) -> None:
        for one in fresh:
            self._audit.append(
                connection, SYSTEM, REFUSED, one.id or one.name, {"row": one.name, "why": one.why}
            )
