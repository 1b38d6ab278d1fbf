"""MySQL and MariaDB under the units of work, on asyncmy."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from strongroom.core.errors import OutcomeUnknown, Unavailable

T = TypeVar("T")
Work = Callable[[Connection], T]

# Numbers of errors that the server reports; the client library makes its own from 2000 on.
FIRST_SERVER_ERROR = 1000
FIRST_CLIENT_ERROR = 2000
# Too many connections, shutting down, too many of one user, read-only (thrice, after a failover), killed: another
# connection may do better.
PASSING = frozenset({1040, 1053, 1203, 1290, 1792, 1836, 1927})

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


class ConnectionSevered(Unavailable):
    """No connection, or one that broke before the commit was asked for: nothing was committed.

    The unit may run again. This spares every unit the round trip of a ping: a connection that the server closed is
    noticed by its first statement.
    """

    code = "database_unavailable"

    def __init__(self) -> None:
        super().__init__("The database does not answer; nothing was changed")


class CommitUnknown(OutcomeUnknown):
    """The connection broke, or all was silent, while the commit may have been under way."""

    code = "database_commit_unknown"

    def __init__(self) -> None:
        super().__init__("The database went away; whether it committed is not known yet")


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
            except DBAPIError as error:
                if error.connection_invalidated or _number(error) in PASSING:
                    raise CommitUnknown from error
                raise
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
    except (DBAPIError, OSError, PoolTimeout) as error:
        if _is_refusal(error):
            raise
        raise ConnectionSevered from error
    try:
        yield connection
    except DBAPIError as error:
        if _number(error) in PASSING:
            await connection.invalidate()
        elif not error.connection_invalidated:
            raise
        raise ConnectionSevered from error
    finally:
        # The unit has ended, well or not; a connection that breaks only now changes nothing of that.
        with suppress(DBAPIError):
            await connection.close()


def _is_refusal(error: Exception) -> bool:
    """The server is there and says no: wrong password, unknown database. Trying again will not help."""
    number = _number(error)
    return FIRST_SERVER_ERROR <= number < FIRST_CLIENT_ERROR and number not in PASSING


def _number(error: Exception) -> int:
    """The server's or the client library's number of the error; 0 where there is none."""
    arguments: tuple[object, ...] = getattr(getattr(error, "orig", None), "args", ())
    return arguments[0] if arguments and isinstance(arguments[0], int) else 0


def _engine(url: URL, pool_size: int, isolation_level: str) -> AsyncEngine:
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_recycle=1800,
        isolation_level=isolation_level,
        pool_reset_on_return=None,  # every unit ends with its own commit or rollback
        hide_parameters=True,
        connect_args={"init_command": SESSION},
    )
