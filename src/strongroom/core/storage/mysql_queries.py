"""Runs single SELECTs on MySQL and MariaDB, directly on asyncmy.

Through SQLAlchemy, with its greenlets and a transaction, a statement takes six times the CPU time and two more round trips. A
single SELECT is a snapshot by itself and needs neither.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncmy
from asyncmy.errors import Error
from sqlalchemy.engine import URL

from strongroom.core.storage.errors import ConnectionSevered, mysql_error
from strongroom.core.storage.mysql import SESSION


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
        self._slots = asyncio.Semaphore(size)
        self._idle: list[Any] = []

    async def query(self, sql: str, parameters: Sequence[Any]) -> Sequence[tuple[Any, ...]]:
        """The rows of one SELECT. After any error the connection is closed, because its state is unknown.

        Raises:
            ConnectionSevered: the server does not answer; the statement itself may be right.
            StrongroomError: the server refused the statement.
        """
        async with self._slots:
            connection = self._idle.pop() if self._idle else None
            try:
                if connection is None:
                    connection = await asyncmy.connect(**self._arguments)
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

    def close(self) -> None:
        """Closes the connections that are not in use."""
        while self._idle:
            self._idle.pop().close()


def _end_if_cancelled() -> None:
    """Raises the cancellation again, which the driver swallows or turns into a broken connection."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
