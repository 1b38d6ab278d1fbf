"""Single SELECTs on MySQL and MariaDB, on asyncmy alone.

A statement through SQLAlchemy, its greenlets and its transaction costs six times the processor time and two more round
trips. What is asked here is one statement, which is a snapshot of its own, so it needs none of them.
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
    """At most `size` connections, opened when they are needed."""

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
        """The rows. A connection that is not known to be sound afterwards is given up.

        Raises:
            ConnectionSevered: the server is away; nothing else is wrong with the question.
            StrongroomError: it is.
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
                    self.close()  # after one broke, the others are broken as well
                raise ours from error
            self._idle.append(connection)
            return rows

    def close(self) -> None:
        """Closes the connections that are not in use."""
        while self._idle:
            self._idle.pop().close()


def _end_if_cancelled() -> None:
    """The driver swallows a cancellation, or makes a broken connection of it."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
