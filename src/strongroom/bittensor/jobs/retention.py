"""Deletes jobs and extrinsics whose outcome has been known for long. The audit trail keeps every signature.

What is still open keeps everything since: a reveal that waits needs the extrinsic of its commit.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, delete, func, select

from strongroom.bittensor import tables
from strongroom.bittensor.extrinsics.store import LIVE
from strongroom.core.clock import Clock
from strongroom.core.storage.database import Database

PURGE_S: Final = 3600.0
AT_ONCE: Final = 500
"""Rows that one transaction deletes, so that others wait for no more than that."""
DAY_MS: Final = 86_400_000
JOB, EXTRINSIC = tables.job.c, tables.extrinsic.c


class Retention:
    """`purge` under a lease. `days` is how long a job can be asked for, and its Idempotency-Key counts; 0: for ever."""

    def __init__(self, *, days: int, database: Database, clock: Clock) -> None:
        self._days = days
        self._database = database
        self._clock = clock

    async def purge(self) -> None:
        """Jobs first: one whose extrinsic is gone would have no answer but its result."""
        if not self._days:
            return
        until_ms = self._clock.now_ms() - self._days * DAY_MS
        oldest_ms = await self._database.read(_oldest_open)
        if oldest_ms is not None:
            until_ms = min(until_ms, oldest_ms)
        for table, is_over in (
            (tables.job, JOB.is_open.is_(False)),
            (tables.extrinsic, EXTRINSIC.state.not_in(LIVE)),
        ):
            await self._purge(table, is_over, until_ms)

    async def _purge(self, table: Table, is_over: ColumnElement[bool], until_ms: int) -> None:
        """Deletes rows by their keys: the locks of a range would be in the way of new rows."""
        (key,) = table.primary_key.columns
        old = select(key).where(is_over, table.c.created_at_ms < until_ms).limit(AT_ONCE)

        def find(connection: Connection) -> Sequence[Any]:
            return connection.execute(old).scalars().all()

        while found := await self._database.read(find):
            gone = delete(table).where(key.in_(found), is_over)
            await self._database.write(lambda connection: connection.execute(gone))  # noqa: B023 - it is awaited here


def _oldest_open(connection: Connection) -> int | None:
    found: int | None = connection.execute(
        select(func.min(JOB.created_at_ms)).where(JOB.is_open.is_(True))
    ).scalar()
    return found
