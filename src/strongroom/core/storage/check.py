"""Checks whether a database can be used. Every ledger runs this check in a loop, for its health."""

import asyncio
from functools import partial

from sqlalchemy import Connection, delete, select

from strongroom.core.errors import Unavailable
from strongroom.core.storage import tables
from strongroom.core.storage.database import ANSWER_S, Database
from strongroom.core.storage.rolling.watch import SchemaWatch

CHECK_S = 5.0
NAME_BYTES = 8


async def check_database(database: Database, watch: SchemaWatch | None = None) -> None:
    """Raises the error that makes the database unusable: it does not answer, is full, or refuses.

    The check reads one of our tables, because a Galera node without quorum refuses that but answers `SELECT 1`. It also
    commits a row and deletes it. A failure of another unit of work since the last check counts too: a larger write may fail
    where one row still fits. So does a schema that `watch` finds newer than this process bears.
    """
    try:
        async with asyncio.timeout(CHECK_S):
            await database.read(_read)
            if watch is not None:
                await watch.look(database)
    except TimeoutError:
        raise Unavailable(f"The database does not answer within {CHECK_S:g} s") from None
    try:
        async with asyncio.timeout(ANSWER_S):  # SQLite's only writer may be busy with a large unit
            await database.write(partial(_write, name=f"check:{database.entropy.token(NAME_BYTES).hex()}"))
    except TimeoutError:
        raise Unavailable(f"The database does not store a row within {ANSWER_S:g} s") from None
    failure = database.take_failure()
    if failure is not None:
        raise failure


def _read(connection: Connection) -> None:
    connection.execute(select(tables.audit_lane.c.sequence)).first()


def _write(connection: Connection, name: str) -> None:
    """Writes and deletes a lease with a new name each time, so that no process waits for another's row."""
    row = {"name": name, "holder": "", "fence": 0, "expires_at_ms": 0}
    connection.execute(tables.lease.insert(), row)
    connection.execute(delete(tables.lease).where(tables.lease.c.name == name))
