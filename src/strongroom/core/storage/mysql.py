"""MySQL and MariaDB under the units of work, on asyncmy."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from sqlalchemy import Connection, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from strongroom.core.errors import StrongroomError
from strongroom.core.storage.errors import (
    CommitUnknown,
    ConnectionSevered,
    DatabaseUnavailable,
    Duplicate,
    Undone,
    keep_telling,
    mysql_number,
    translate_mysql,
)
from strongroom.core.storage.numbers import UNDONE_BY_SERVER

T = TypeVar("T")
Work = Callable[[Connection], T]

LOCK_WAIT_S = 20
IDLE_S = 10
# A server may be set to cut off what does not fit; a value that was cut must never be committed. A process that was
# stopped in the midst of a unit, with its machine or by a signal, keeps its rows locked, and its peer's kernel keeps its
# connection alive: MariaDB ends it before those that wait for the rows give up. MySQL reads the /*M! */ as a comment.
SESSION = (
    f"SET SESSION time_zone='+00:00', innodb_lock_wait_timeout={LOCK_WAIT_S},"
    " sql_mode='STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
    f" /*M! , idle_transaction_timeout={IDLE_S} */"
)


class MysqlEngine:
    """Runs units of work; see `Database`."""

    def __init__(self, url: URL, pool_size: int) -> None:
        # Writers take no gap locks, so parallel inserts do not deadlock; a reader keeps to one snapshot.
        self._writer = _engine(url, pool_size, "READ COMMITTED")
        self._reader = _engine(url, pool_size, "REPEATABLE READ")

    async def write(self, work: Work[T]) -> T:
        async with _connected(self._writer) as connection:
            result = await connection.run_sync(work)
            try:
                await connection.commit()
            except StrongroomError as error:
                if _is_surely_undone(error):
                    raise
                raise CommitUnknown from error
            return result

    async def read(self, work: Work[T]) -> T:
        async with _connected(self._reader) as connection:
            return await connection.run_sync(work)

    async def close(self) -> None:
        await self._writer.dispose()
        await self._reader.dispose()


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    try:
        connection = await engine.connect()
    except (OSError, PoolTimeout) as error:
        raise ConnectionSevered from error
    try:
        yield connection
    except ConnectionSevered:
        await connection.invalidate()  # also one that a server keeps which cannot now: another may do better
        raise
    finally:
        # The unit has ended, well or not; a connection that breaks only now changes nothing of that.
        with suppress(DatabaseUnavailable, DBAPIError):
            await connection.close()


def _is_surely_undone(error: StrongroomError) -> bool:
    """What the server said of a COMMIT leaves no doubt that it did nothing of it."""
    if isinstance(error, Duplicate):  # a constraint that is looked at only then
        return True
    cause = error.__cause__
    return isinstance(error, Undone) and cause is not None and mysql_number(cause) in UNDONE_BY_SERVER


def _engine(url: URL, pool_size: int, isolation_level: str) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_recycle=1800,
        isolation_level=isolation_level,
        pool_reset_on_return=None,  # every unit ends with its own commit or rollback
        hide_parameters=True,
        connect_args={"init_command": SESSION},
    )
    event.listen(engine.sync_engine, "handle_error", translate_mysql, retval=True)
    event.listen(engine.sync_engine, "set_connection_execution_options", keep_telling)
    return engine
