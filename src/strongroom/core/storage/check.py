"""The question whether a database can be used. Every ledger asks it all the time, under its component of health."""

import asyncio
from functools import partial

from strongroom.core.database import Database
from strongroom.core.errors import Unavailable
from strongroom.core.runtime.loops import Loop, Loops

CHECK_S = 5.0


async def check_database(database: Database) -> None:
    """Raises whatever makes the database unusable: it is away, silent, or says no."""
    try:
        async with asyncio.timeout(CHECK_S):
            await database.read(lambda connection: connection.exec_driver_sql("SELECT 1").all())
    except TimeoutError:
        raise Unavailable(f"The database does not answer within {CHECK_S:g} s") from None


def database_loop(loops: Loops, name: str, database: Database) -> Loop:
    """The vital component `name`: DOWN with the first failure, UP with the first success."""
    check = partial(check_database, database)
    return loops.every(name, CHECK_S, check, down_after=1, longest_pause_s=CHECK_S, vital=True)
