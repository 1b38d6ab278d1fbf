"""Runs units of work on MySQL and MariaDB, with asyncmy."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import greenlet_spawn

from strongroom.core.errors import StrongroomError
from strongroom.core.runtime.pool_load import PoolLoad
from strongroom.core.storage.cluster.waiting import marked, on_connect, waits
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

UNCONNECTED = (OSError, RuntimeError)
"""What asyncmy raises where no connection comes to be: RuntimeError where it breaks before its socket is set up."""
LOCK_WAIT_S = 20
IDLE_S = 10
# Strict mode: some servers are configured to truncate values that do not fit, and a truncated value must never be committed.
# Idle timeout: a process that was stopped in the middle of a unit keeps its rows locked, and its kernel keeps the connection
# alive. MariaDB ends such a transaction before the others that wait for the rows give up. MySQL reads /*M! */ as a comment.
SESSION = (
    f"SET SESSION time_zone='+00:00', innodb_lock_wait_timeout={LOCK_WAIT_S},"
    " sql_mode='STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
    f" /*M! , idle_transaction_timeout={IDLE_S} */"
)


class MysqlEngine:
    """Runs units of work for `Database`."""

    def __init__(self, url: URL, pool_size: int) -> None:
        # READ COMMITTED takes no gap locks, so parallel inserts do not deadlock. REPEATABLE READ keeps a reader on one snapshot.
        self._writer = mysql_engine(url, pool_size, "READ COMMITTED")
        self._reader = mysql_engine(url, pool_size, "REPEATABLE READ")
        self._writes, self._reads = PoolLoad("write", pool_size), PoolLoad("read", pool_size)

    @property
    def loads(self) -> tuple[PoolLoad, ...]:
        return self._writes, self._reads

    async def write(self, work: Work[T]) -> T:
        with self._writes:
            return await greenlet_spawn(_write, self._writer.sync_engine, work)

    async def read(self, work: Work[T]) -> T:
        with self._reads:
            return await greenlet_spawn(_read, self._reader.sync_engine, work)

    async def close(self) -> None:
        await self._writer.dispose()
        await self._reader.dispose()


# One greenlet runs a whole unit: one each for the connection, the work, the commit and the end takes a tenth of the CPU time of a
# signature.


def _write(engine: Engine, work: Work[T]) -> T:
    with _connected(engine) as connection:
        result = work(connection)
        try:
            connection.commit()
        except StrongroomError as error:
            if _is_surely_undone(error):
                raise
            raise CommitUnknown from error
        return result


def _read(engine: Engine, work: Work[T]) -> T:
    with _connected(engine) as connection:
        return work(connection)


@contextmanager
def _connected(engine: Engine) -> Iterator[Connection]:
    try:
        connection = engine.connect()
    except (*UNCONNECTED, PoolTimeout) as error:
        raise ConnectionSevered from error
    try:
        yield connection
    except ConnectionSevered:
        # Also a working connection to a failing server: a new one may reach a better server.
        connection.invalidate()
        raise
    finally:
        # The unit has ended. If the connection breaks only now, that changes nothing.
        with suppress(DatabaseUnavailable, DBAPIError):
            connection.close()


def _is_surely_undone(error: StrongroomError) -> bool:
    """Whether the server's error proves that it did not commit."""
    if isinstance(error, Duplicate):  # a constraint that the server checks only at the commit
        return True
    cause = error.__cause__
    return isinstance(error, Undone) and cause is not None and mysql_number(cause) in UNDONE_BY_SERVER


def mysql_engine(url: URL, pool_size: int, isolation_level: str, session: str = SESSION) -> AsyncEngine:
    """SQLAlchemy's engine, whose errors are ours; `session` is the first statement of each connection."""
    engine = create_async_engine(
        marked(url, waits=True),
        pool_size=pool_size,
        max_overflow=0,
        pool_recycle=1800,
        isolation_level=isolation_level,
        pool_reset_on_return=None,  # every unit ends with its own commit or rollback
        hide_parameters=True,
        connect_args={"init_command": session},
    )
    if waits(url):
        event.listen(engine.sync_engine, "connect", on_connect)
    event.listen(engine.sync_engine, "handle_error", translate_mysql, retval=True)
    event.listen(engine.sync_engine, "set_connection_execution_options", keep_telling)
    return engine
