"""What a piece of work costs a database, in numbers that no other load on the machine changes.

MariaDB and MySQL count the rows that their tables hand over (`Handler_read%`), those that an index condition looks at and throws away,
those that are written, and statements. SQLite counts the steps of its virtual machine, which grow with the rows that it touches.
"""

import itertools
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.pool import Pool

from support.databases import execute_elsewhere

STEPS: Final = 10
"""So many steps of SQLite are counted as one, because each count calls Python."""
READ: Final = ("handler_read", "handler_icp_attempts")
WRITTEN: Final = ("handler_write", "handler_update", "handler_delete")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """`read`: rows on a server, tens of steps on SQLite. `statements`: each is a round trip, and so is each begin and commit."""

    read: int
    written: int = 0
    statements: int = 0


class Meter(Protocol):
    """Measures one piece of work on a database that nobody else uses."""

    async def cost(self, work: Callable[[], Awaitable[Any]]) -> Cost: ...


class ServerMeter:
    """Reads the server's global counters before and after. Looking costs rows and a statement too: that is subtracted."""

    def __init__(self, url: URL) -> None:
        self._url = url
        before, after = self._look(), self._look()
        self._own = {name: after[name] - before[name] for name in after}

    async def cost(self, work: Callable[[], Awaitable[Any]]) -> Cost:
        before = self._look()
        await work()
        after = self._look()
        grown = {name: after[name] - before[name] - self._own[name] for name in after}
        # What an index condition accepts is counted by `handler_read` too.
        accepted = grown.get("handler_icp_match", 0)
        return Cost(
            read=sum(value for name, value in grown.items() if name.startswith(READ)) - accepted,
            written=sum(grown[name] for name in WRITTEN),
            statements=grown["questions"],
        )

    def _look(self) -> dict[str, int]:
        wanted = "SHOW GLOBAL STATUS WHERE Variable_name LIKE 'Handler%' OR Variable_name = 'Questions'"
        return {name.lower(): int(value) for name, value in execute_elsewhere(self._url, wanted)}


class SqliteMeter:
    """Counts the steps of all connections that are opened while it stands (`counted_steps`)."""

    def __init__(self) -> None:
        self._count = itertools.count()
        self._last = -1

    def step(self) -> int:
        """A connection has done `STEPS` more; 0 lets it go on."""
        self._last = next(self._count)
        return 0

    async def cost(self, work: Callable[[], Awaitable[Any]]) -> Cost:
        before = self._last
        await work()
        return Cost(read=self._last - before)


@contextmanager
def counted_steps() -> Iterator[SqliteMeter]:
    """Every connection to SQLite that is opened within it is counted."""
    meter = SqliteMeter()

    def count(connection: Any, _record: object) -> None:
        raw = getattr(connection, "driver_connection", connection)
        if isinstance(raw, sqlite3.Connection):
            raw.set_progress_handler(meter.step, STEPS)

    event.listen(Pool, "connect", count)
    try:
        yield meter
    finally:
        event.remove(Pool, "connect", count)
