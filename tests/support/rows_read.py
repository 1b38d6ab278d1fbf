"""How much a database reads for a piece of work, so that a test finds what grows with its tables."""

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

from sqlalchemy.engine import URL

from strongroom.core.storage.database import Database
from support.scale.counting import Meter, ServerMeter, counted_steps


async def rows_read(url: URL, work: Callable[[Database], Awaitable[Any]]) -> int:
    """Rows on a server, tens of steps on SQLite. `work` gets connections of its own, after a first time for the caches."""
    with ExitStack() as stack:
        is_server = url.get_backend_name() != "sqlite"
        meter: Meter = ServerMeter(url) if is_server else stack.enter_context(counted_steps())
        database = Database(url)
        try:
            await work(database)
            return (await meter.cost(lambda: work(database))).read
        finally:
            await database.close()
