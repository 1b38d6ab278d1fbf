"""Reads the events of a destination without deleting them, so that every process can read all of them.

Hazard: the reader never goes back. So no event may appear with a lower id than one that was read: all writers of the destination
must hold one lock until they commit.
"""

from collections.abc import Container
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from strongroom.core.storage import tables
from strongroom.core.storage.database import Database

PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRecord:
    """One event as a reader gets it."""

    stream: str
    payload: str
    """JSON text."""
    created_at_ms: int


class OutboxReader:
    """One reader's position in a destination. It starts at the end of the outbox, at `begin` or else at the first `read`."""

    def __init__(self, database: Database, destination: str) -> None:
        self._database = database
        self._destination = destination
        self._last_id: int | None = None

    @property
    def last_id(self) -> int:
        """The id of the last event that was read; 0 before the reader has begun."""
        return self._last_id or 0

    async def begin(self) -> None:
        """Sets the position to the end, so that the reader gets only events that are written from now on."""
        self._last_id = await self._database.read(self._newest_id)

    async def read(self, wanted: Container[str]) -> tuple[list[OutboxRecord], bool]:
        """Returns the next events of the streams in `wanted`, in order, and whether more may be ready now."""
        last_id = self._last_id
        if last_id is None:
            await self.begin()
            return [], False
        last_id, seen, found = await self._database.read(
            lambda connection: self._page(connection, last_id, wanted)
        )
        self._last_id = last_id
        return found, seen == PAGE

    def _newest_id(self, connection: Connection) -> int:
        columns = tables.outbox.c
        query = select(func.max(columns.id)).where(columns.destination == self._destination)
        newest: int | None = connection.execute(query).scalar()
        return newest or 0

    def _page(
        self, connection: Connection, last_id: int, wanted: Container[str]
    ) -> tuple[int, int, list[OutboxRecord]]:
        columns = tables.outbox.c
        query = (
            select(columns.id, columns.stream)
            .where(columns.id > last_id, columns.destination == self._destination)
            .order_by(columns.id)
            .limit(PAGE)
        )
        rows = connection.execute(query).all()
        if not rows:
            return last_id, 0, []
        ids = [row.id for row in rows if row.stream in wanted]
        payloads = select(columns.stream, columns.payload, columns.created_at_ms).where(columns.id.in_(ids))
        found = connection.execute(payloads.order_by(columns.id)).all() if ids else ()
        records = [OutboxRecord(stream=row[0], payload=row[1], created_at_ms=row[2]) for row in found]
        return rows[-1].id, len(rows), records
