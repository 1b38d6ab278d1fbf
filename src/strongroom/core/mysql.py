"""MySQL and MariaDB under the units of work, on asyncmy."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

T = TypeVar("T")
Work = Callable[[Connection], T]

# A server may be set to cut off what does not fit; a value that was cut must never be committed.
SESSION = (
    "SET SESSION time_zone='+00:00', innodb_lock_wait_timeout=20,"
    " sql_mode='STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
)


class ConnectionSevered(Exception):
    """The connection broke before the commit was asked for, so nothing was committed: the unit may run again.

    This spares every unit the round trip of a ping: a connection that the server closed is noticed by its first
    statement.
    """


class MysqlEngine:
    """Runs units of work; see `Database`."""

    def __init__(self, url: URL, pool_size: int) -> None:
        # Writers take no gap locks, so parallel inserts do not deadlock; a reader keeps to one snapshot.
        self._writer = _engine(url, pool_size, "READ COMMITTED")
        self._reader = _engine(url, pool_size, "REPEATABLE READ")

    async def write(self, work: Work[T]) -> T:
        async with self._writer.connect() as connection:
            try:
                result = await connection.run_sync(work)
            except DBAPIError as error:
                raise _severed(error) or error from error
            await connection.commit()
            return result

    async def read(self, work: Work[T]) -> T:
        async with self._reader.connect() as connection:
            try:
                return await connection.run_sync(work)
            except DBAPIError as error:
                raise _severed(error) or error from error

    async def close(self) -> None:
        await self._writer.dispose()
        await self._reader.dispose()


def _severed(error: DBAPIError) -> ConnectionSevered | None:
    return ConnectionSevered() if error.connection_invalidated else None


def _engine(url: URL, pool_size: int, isolation_level: str) -> AsyncEngine:
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_recycle=1800,
        isolation_level=isolation_level,
        hide_parameters=True,
        connect_args={"init_command": SESSION},
    )
