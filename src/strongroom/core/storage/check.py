"""The question whether a database can be used. Every ledger asks it all the time, under its component of health."""

import asyncio
from functools import partial

from sqlalchemy import Connection, delete, select

from strongroom.core.errors import Unavailable
from strongroom.core.storage import tables
from strongroom.core.storage.database import ANSWER_S, Database

CHECK_S = 5.0
NAME_BYTES = 8


async def check_database(database: Database) -> None:
    """Raises whatever makes the database unusable: it is away, silent, full, or says no.

    It reads one of our tables, which a Galera node without quorum refuses while it answers `SELECT 1`, and commits a
    row that it takes back. What other units met since the last check counts too: theirs may need more room than one row.
    """
    try:
        async with asyncio.timeout(CHECK_S):
            await database.read(_read)
    except TimeoutError:
        raise Unavailable(f"The database does not answer within {CHECK_S:g} s") from None
    try:
        async with asyncio.timeout(ANSWER_S):  # SQLite's one writer may be busy with a large unit
            await database.write(partial(_write, name=f"check:{database.entropy.token(NAME_BYTES).hex()}"))
    except TimeoutError:
        raise Unavailable(f"The database stores nothing within {ANSWER_S:g} s") from None
    failure = database.take_failure()
    if failure is not None:
        raise failure


def _read(connection: Connection) -> None:
    connection.execute(select(tables.audit_head.c.sequence)).first()


def _write(connection: Connection, name: str) -> None:
    """Writes and deletes a lease that nobody asks for. Its name is new each time, so no process waits for another."""
    row = {"name": name, "holder": "", "fence": 0, "expires_at_ms": 0}
    connection.execute(tables.lease.insert(), row)
    connection.execute(delete(tables.lease).where(tables.lease.c.name == name))
