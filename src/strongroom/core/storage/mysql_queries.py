"""Runs statements on MySQL and MariaDB directly on asyncmy: single SELECTs, and those of a unit of work.

Through SQLAlchemy, with its greenlets and a transaction, a SELECT takes six times the CPU time and two more round trips. A
single SELECT is a snapshot by itself and needs neither. In a unit of work a statement takes twice the CPU time through
SQLAlchemy's contexts, cursors and results, although its text is ready.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import asyncmy
from asyncmy.errors import Error
from sqlalchemy import Connection
from sqlalchemy.engine import URL

from strongroom.core.errors import StrongroomError
from strongroom.core.runtime.pool_load import PoolLoad
from strongroom.core.storage.cluster.waiting import make_wait, waits
from strongroom.core.storage.errors import ConnectionSevered, mysql_error
from strongroom.core.storage.mysql import SESSION, UNCONNECTED

NO_WORK = "DO 0"


class Answer(NamedTuple):
    """What the server said to one statement."""

    rows: Sequence[tuple[Any, ...]]
    row_count: int
    """Of a change: so many rows were found."""
    last_id: int
    """Of an INSERT: the number that the database gave to the row."""


def run_on_driver(connection: Connection, text: str, parameters: Sequence[Any]) -> Answer:
    """Runs one statement of a unit of work, in the unit's transaction.

    Raises: as a statement that runs through SQLAlchemy.
    """
    if not connection.in_transaction():
        connection.begin()  # otherwise SQLAlchemy would not commit what it has not seen
    adapted: Any = connection.connection.dbapi_connection
    try:
        answer: Answer = adapted.run_async(partial(_answer, text, parameters))
    except (Error, OSError, AttributeError) as error:  # AttributeError: asyncmy uses what it has closed
        raise _translated(connection, error, text) from error
    except asyncio.CancelledError:
        connection.invalidate()  # the answer may come yet
        raise
    return answer


async def _answer(text: str, parameters: Sequence[Any], driver: Any) -> Answer:
    cursor = driver.cursor()
    await cursor.execute(text, parameters)
    return Answer(await cursor.fetchall(), cursor.rowcount, cursor.lastrowid)


def _translated(connection: Connection, error: Exception, text: str) -> StrongroomError:
    """Our exception for an error of the driver. If the connection is broken, so are probably the others of its pool."""
    met: Any = error  # SQLAlchemy's protocol for a driver's errors does not say that asyncmy's are such
    is_severed = not isinstance(error, Error) or connection.dialect.is_disconnect(met, None, None)
    if is_severed:
        # SQLAlchemy gives up the connections of a pool when it meets a broken one itself.
        connection.exec_driver_sql(NO_WORK)
    return mysql_error(error, text, severed=is_severed)


class QueryPool:
    """A pool of at most `size` connections, which are opened when needed."""

    def __init__(self, url: URL, size: int) -> None:
        self._arguments = {
            "host": url.host,
            "port": url.port,
            "user": url.username,
            "password": url.password or "",
            "db": url.database,
            "charset": "utf8mb4",
            "autocommit": True,
            "init_command": SESSION,
        }
        self._waits = waits(url)
        self._slots = asyncio.Semaphore(size)
        self.load = PoolLoad("query", size)
        self._idle: list[Any] = []

    async def query(self, sql: str, parameters: Sequence[Any]) -> Sequence[tuple[Any, ...]]:
        """The rows of one SELECT. After any error the connection is closed, because its state is unknown.

        Raises:
            ConnectionSevered: the server does not answer; the statement itself may be right.
            StrongroomError: the server refused the statement.
        """
        with self.load:
            return await self._query(sql, parameters)

    async def _query(self, sql: str, parameters: Sequence[Any]) -> Sequence[tuple[Any, ...]]:
        async with self._slots:
            connection = self._idle.pop() if self._idle else None
            try:
                if connection is None:
                    connection = await self._connect()
                cursor = connection.cursor()
                await cursor.execute(sql, parameters)
                rows: Sequence[tuple[Any, ...]] = await cursor.fetchall()
                _end_if_cancelled()
            except BaseException as error:
                if connection is not None:
                    connection.close()
                _end_if_cancelled()
                if not isinstance(error, Error | OSError):
                    raise
                ours = mysql_error(error, sql, severed=isinstance(error, OSError))
                if isinstance(ours, ConnectionSevered):
                    self.close()  # after one connection broke, the idle ones are probably broken too
                raise ours from error
            self._idle.append(connection)
            return rows

    async def _connect(self) -> Any:
        try:
            connection = await asyncmy.connect(**self._arguments)
        except UNCONNECTED as error:
            raise ConnectionSevered from error
        if self._waits:
            try:
                await make_wait(connection.cursor())
            except BaseException:
                connection.close()
                raise
        return connection

    def close(self) -> None:
        """Closes the connections that are not in use."""
        while self._idle:
            self._idle.pop().close()


def _end_if_cancelled() -> None:
    """Raises the cancellation again, which the driver swallows or turns into a broken connection."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
