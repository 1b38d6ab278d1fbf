"""Deletes jobs and extrinsics whose outcome has been known for long. The audit trail keeps every signature.

While a job is open, nothing that is younger is deleted: a reveal that waits needs the extrinsic of its commit.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, delete, false, func, select

from strongroom.bittensor import tables
from strongroom.bittensor.extrinsics.store import drop_receipts
from strongroom.core.clock import Clock
from strongroom.core.intents.store import forget_resolved
from strongroom.core.storage.database import Database

PURGE_S: Final = 3600.0
AT_ONCE: Final = 500
"""How many rows one transaction deletes; other transactions wait no longer than that."""
DAY_MS: Final = 86_400_000
JOB = tables.job.c


class Retention:
    """Run `purge` under a lease. For `days` a job can be asked for and its Idempotency-Key counts; 0: for ever."""

    def __init__(self, *, days: int, database: Database, clock: Clock) -> None:
        self._days = days
        self._database = database
        self._clock = clock

    async def purge(self) -> None:
        """Deletes jobs, then extrinsics: a job without its extrinsic could show only its stored result."""
        if not self._days:
            return
        until_ms = self._clock.now_ms() - self._days * DAY_MS
        oldest_ms = await self._database.read(_oldest_open)
        if oldest_ms is not None:
            until_ms = min(until_ms, oldest_ms)
        await self._purge_jobs(until_ms)
        while await self._database.write(lambda connection: _forget_extrinsics(connection, until_ms)):
            pass

    async def _purge_jobs(self, until_ms: int) -> None:
        """Deletes rows by their keys, because the locks of a range would block new rows."""
        is_over = JOB.is_open == false()
        old = select(JOB.id).where(is_over, JOB.created_at_ms < until_ms).limit(AT_ONCE)

        def find(connection: Connection) -> Sequence[str]:
            return connection.execute(old).scalars().all()

        while found := await self._database.read(find):
            gone = delete(tables.job).where(JOB.id.in_(found), is_over)
            await self._database.write(lambda connection: connection.execute(gone))  # noqa: B023 - it is awaited here


def _forget_extrinsics(connection: Connection, until_ms: int) -> bool:
    """Deletes some extrinsics with their receipts; tells whether there may be more."""
    forgotten = forget_resolved(connection, until_ms, at_most=AT_ONCE)
    drop_receipts(connection, forgotten)
    return bool(forgotten)


def _oldest_open(connection: Connection) -> int | None:
    found: int | None = connection.execute(select(func.min(JOB.created_at_ms)).where(JOB.is_open)).scalar()
    return found
