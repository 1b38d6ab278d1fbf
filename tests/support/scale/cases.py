"""What a service asks its database, each by the code that asks it: for a request, for an event of a chain, or by a loop.

Each case is a piece of work on a database that `prepared` has filled. `Kind` says how its cost may grow.
"""

import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.engine import URL

from strongroom.atto.definition import LEDGER as ATTO
from strongroom.bittensor.definition import LEDGER as BITTENSOR
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import migrate
from strongroom.hathor.definition import REVISIONS as HATHOR
from support.scale import core_rows, ledger_rows
from support.trail import open_trail

Load = Callable[[Connection, int], None]
Work = Callable[[], Awaitable[Any]]


class Kind(enum.StrEnum):
    """How the rows that a case reads may grow with the tables."""

    FLAT = "flat"
    """Not at all, whatever the tables hold."""
    OWN = "own"
    """With what is asked for, as a wallet's addresses: in proportion."""
    WHOLE = "whole"
    """In proportion to a table, on purpose; the page says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`work` may run several times."""

    name: str
    work: Work
    kind: Kind = Kind.FLAT


def _load_core(connection: Connection, count: int) -> None:
    core_rows.load_payments(connection, count)
    core_rows.load_trail(connection, open_trail(), count)
    core_rows.load_webhooks(connection, count)
    core_rows.load_requests(connection, count)


PARTS: Final[dict[str, tuple[Sequence[Any], Sequence[Load]]]] = {
    "core": ((BITTENSOR.revisions,), (_load_core, ledger_rows.load_bittensor)),
    "atto": ((ATTO.revisions,), (ledger_rows.load_atto,)),
    "hathor": ((HATHOR,), (ledger_rows.load_hathor,)),
}
"""Databases, each with the revisions of its ledger and what fills it. The core's tables are filled in the first one alone."""


@asynccontextmanager
async def prepared(part: str, url: URL, count: int) -> AsyncIterator[Database]:
    """A database of `part` that holds `count` transactions."""
    revisions, loads = PARTS[part]
    database = Database(url)
    try:
        await migrate(database, revisions)
        for load in loads:
            await database.write(lambda connection, load=load: load(connection, count), answer_s=None)  # type: ignore[misc] # bound at once
        await database.write(_analyze, answer_s=None)
        yield database
    finally:
        await database.close()


def _analyze(connection: Connection) -> None:
    """The server looks at its tables by itself when they have changed by a tenth; here it does so at once."""
    if connection.dialect.name == "sqlite":
        return  # the service never runs ANALYZE there
    names = [row[0] for row in connection.exec_driver_sql("SHOW TABLES")]
    connection.exec_driver_sql(f"ANALYZE TABLE {', '.join(f'`{name}`' for name in names)}").fetchall()
