"""Reads the audit trail lane by lane, in pieces."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, func, select

from strongroom.core.security.trail.rows import Content
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database

CHUNK: Final = 1000
_COLUMNS = tables.audit.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How many rows of a lane there are, and their lowest and highest number."""

    rows: int
    numbered: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """The heads and extents of all lanes at one moment. Lane None: the rows of before there were lanes."""

    heads: Mapping[int, Row[Any]]
    extents: Mapping[int | None, Extent]


def outline_of(connection: Connection) -> Outline:
    heads = {row.lane: row for row in connection.execute(select(tables.audit_lane))}
    counted = select(
        _COLUMNS.lane,
        func.count().label("rows"),
        func.count(_COLUMNS.number).label("numbered"),
        func.coalesce(func.min(_COLUMNS.number), 0).label("first"),
        func.coalesce(func.max(_COLUMNS.number), 0).label("last"),
    ).group_by(_COLUMNS.lane)
    extents = {
        row.lane: Extent(rows=row[1], numbered=row.numbered, first=row.first, last=row.last)
        for row in connection.execute(counted)
    }
    return Outline(heads=heads, extents=extents)


async def old_rows(database: Database) -> AsyncIterator[Row[Any]]:
    """The rows of before there were lanes, in their order."""
    is_old, last = _COLUMNS.lane.is_(None), 0
    while True:
        query = select(tables.audit).where(is_old, _COLUMNS.sequence > last)
        rows = await _fetch(database, query.order_by(_COLUMNS.sequence).limit(CHUNK))
        for row in rows:
            yield row
        if len(rows) < CHUNK:
            return
        last = rows[-1].sequence


async def rows_of(database: Database, lane: int, *, after: int, last: int) -> AsyncIterator[Row[Any]]:
    """The rows of a lane with numbers above `after`, up to `last`, in their order."""
    while after < last:
        query = select(tables.audit).where(_COLUMNS.lane == lane, _COLUMNS.number.between(after + 1, last))
        rows = await _fetch(database, query.order_by(_COLUMNS.number).limit(CHUNK))
        for row in rows:
            yield row
        if len(rows) < CHUNK:
            return
        after = rows[-1].number


def content_of(row: Row[Any]) -> Content:
    return Content(
        at_ms=row.at_ms,
        principal=row.principal,
        action=row.action,
        subject=row.subject,
        details=row.details,
    )


async def _fetch(database: Database, query: Select[Any]) -> Sequence[Row[Any]]:
    return await database.fetch_all(query)
