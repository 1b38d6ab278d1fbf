"""Reads the audit trail: pages for people, and all of it as a stream for programs.

Both read stretches of at most `WINDOW` numbers, so that a rare filter over a long trail needs neither much memory nor a
statement that takes long.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, func, or_, select

from strongroom.core.clock import iso_instant
from strongroom.core.intents.tables import intent
from strongroom.core.json_decoder import decode_json
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from strongroom.core.transparency.rows import lane_row

MAX_PAGE: Final = 500
WINDOW: Final = 20_000
CHUNK: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One row of the trail of one ledger."""

    ledger: str
    sequence: int
    at_ms: int
    principal: str
    action: str
    subject: str
    details: dict[str, Any]
    lane: int
    number: int
    """In its lane."""
    hash: str
    """What chains it to the row before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """None: all."""

    principal: str | None = None
    action: str | None = None
    """`token.create`, or `token` for everything that begins with `token.` too."""
    subject: str | None = None
    wallet: str | None = None
    """The wallet itself, its keys, and the accounts that have signed for it."""
    since_ms: int = 0
    until_ms: int | None = None


class TrailReader:
    """The audit trail of one ledger."""

    def __init__(self, ledger: str, database: Database, *, window: int = WINDOW, chunk: int = CHUNK) -> None:
        self._ledger = ledger
        self._database = database
        self._window = window
        self._chunk = chunk

    async def page(
        self, wanted: AuditFilter, *, before: int | None = None, limit: int = 100
    ) -> list[AuditRow]:
        """The newest first, with numbers below `before`. Pages neither repeat nor miss a row while others are added."""
        first, last = await self._bounds()
        high = last if before is None else min(last, before - 1)
        found = list[AuditRow]()
        while high >= first and len(found) < limit:
            low = high - self._window + 1
            found += await self._read(wanted, low, high, limit - len(found), is_newest_first=True)
            high = low - 1
        return found

    async def stream(
        self, wanted: AuditFilter, progress: Callable[[int, int], None] = lambda _done, _all: None
    ) -> AsyncIterator[AuditRow]:
        """The oldest first, up to the newest row when it begins. `progress` gets how many numbers are done, of how many."""
        first, last = await self._bounds()
        low = first
        while low <= last:
            high = min(last, low + self._window - 1)
            rows = await self._read(wanted, low, high, self._chunk, is_newest_first=False)
            for row in rows:
                yield row
            low = rows[-1].sequence + 1 if len(rows) == self._chunk else high + 1
            progress(low - first, last - first + 1)

    async def _bounds(self) -> tuple[int, int]:
        """The lowest and the highest number; of an empty trail 1 and 0."""
        column = tables.audit.c.sequence
        # Apart: asked for both at once, SQLite reads the whole trail.
        lowest, highest = select(func.min(column)), select(func.max(column))
        query = select(lowest.scalar_subquery().label("first"), highest.scalar_subquery().label("last"))
        row = await self._database.fetch_one(query)
        return (1, 0) if row is None or row.first is None else (row.first, row.last)

    async def _read(
        self, wanted: AuditFilter, low: int, high: int, limit: int, *, is_newest_first: bool
    ) -> Sequence[AuditRow]:
        columns = tables.audit.c
        order = columns.sequence.desc() if is_newest_first else columns.sequence
        query = (
            select(tables.audit)
            .where(columns.sequence.between(low, high), *_conditions(wanted))
            .order_by(order)
            .limit(limit)
        )

        def work(connection: Connection) -> Sequence[Row[Any]]:
            return connection.execute(query).all()

        return [self._row(row) for row in await self._database.read(work)]

    def _row(self, row: Row[Any]) -> AuditRow:
        of_lane = lane_row(row)
        return AuditRow(
            ledger=self._ledger,
            sequence=row.sequence,
            at_ms=row.at_ms,
            principal=row.principal,
            action=row.action,
            subject=row.subject,
            details=_details(row.details),
            lane=of_lane.lane,
            number=of_lane.number,
            hash=of_lane.seal.hex(),
        )


def document_of(row: AuditRow) -> dict[str, Any]:
    """For programs."""
    return {
        "ledger": row.ledger,
        "sequence": row.sequence,
        "at": iso_instant(row.at_ms),
        "principal": row.principal,
        "action": row.action,
        "subject": row.subject,
        "details": row.details,
        "lane": row.lane,
        "number": row.number,
        "hash": row.hash,
    }


def _details(text: str) -> dict[str, Any]:
    """A row that somebody altered is shown too: `audit verify` says that it is not as it was."""
    try:
        return decode_json(text, dict[str, Any])
    except msgspec.MsgspecError:
        return {"unreadable": text}


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    columns = tables.audit.c
    found: list[ColumnElement[bool]] = []
    if wanted.since_ms:
        found.append(columns.at_ms >= wanted.since_ms)
    if wanted.until_ms is not None:
        found.append(columns.at_ms < wanted.until_ms)
    if wanted.principal is not None:
        found.append(columns.principal == wanted.principal)
    if wanted.subject is not None:
        found.append(columns.subject == wanted.subject)
    if wanted.action is not None:
        group = columns.action.startswith(f"{wanted.action}.", autoescape=True)
        found.append(or_(columns.action == wanted.action, group))
    if wanted.wallet is not None:
        accounts = select(intent.c.account).where(intent.c.wallet == wanted.wallet).distinct()
        keys = columns.subject.startswith(f"{wanted.wallet}/", autoescape=True)
        found.append(or_(columns.subject == wanted.wallet, keys, columns.subject.in_(accounts)))
    return found
