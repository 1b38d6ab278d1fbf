"""A transaction of another process on MariaDB, held open in the midst of what a test tries."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncmy
from asyncmy.cursors import Cursor

from strongroom.core.storage.database import Database
from support.waiting import until_true

Elsewhere = Callable[[str], list[list[str]]]


@asynccontextmanager
async def another_process(database: Database) -> AsyncIterator[Cursor]:
    """Its transaction, which is rolled back at the end of the block if it is not committed in it."""
    url = database.url
    connection = await asyncmy.connect(
        host=url.host, port=url.port, user=url.username, password=url.password, db=url.database
    )
    try:
        async with connection.cursor() as cursor:
            yield cursor
        await connection.rollback()
    finally:
        await connection.ensure_closed()


async def until_waiting(elsewhere: Elsewhere, number: int) -> None:
    # If asked again within a tenth of a second, the server shows its earlier state.
    query = "DO SLEEP(0.12); SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"

    async def are_waiting() -> bool:
        return await asyncio.to_thread(elsewhere, query) == [[str(number)]]

    await until_true(are_waiting)
