"""The rows of the audit trail as checkpoints count them: lane by lane, by their numbers there, which have no gaps.

A lane's head is changed in the transaction that adds a row to it. So the heads of one snapshot name exactly the rows that were
committed then: a row that commits later has a higher number in its lane, whatever its `sequence` is. The rows of before there were
lanes are lane -1, and their number is their `sequence`.
"""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, select, tuple_

from strongroom.core.json_decoder import decode_json
from strongroom.core.security.trail.lanes import OLD_LANE
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from strongroom.core.transparency.checker import ENTRY, leaf_hash

CHUNK: Final = 1_000
PAYMENT_BYTES: Final = 32
NO_PAYMENT: Final = bytes(PAYMENT_BYTES)
SIGNATURES: Final = frozenset({"sign", "admit"})
"""The actions whose rows are of one signed payload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneRow:
    lane: int
    number: int
    at_ms: int
    principal: str
    action: str
    subject: str
    details: str
    seal: bytes
    """What chains the row to the one before: of a keyed row nobody without the key can know it."""

    @property
    def content_hash(self) -> bytes:
        """Of everything that the row says. `seal` is part of it, so that nobody finds the row by trying what it may say."""
        row = [
            self.lane,
            self.number,
            self.at_ms,
            self.principal,
            self.action,
            self.subject,
            self.details,
            self.seal.hex(),
        ]
        return hashlib.sha256(msgspec.json.encode(row)).digest()

    @property
    def payment(self) -> bytes:
        """The id of the payload that it is the signature of; zeros: of none."""
        return payment_in(self.details) if self.action in SIGNATURES else NO_PAYMENT

    @property
    def entry(self) -> bytes:
        return ENTRY.pack(self.lane, self.number, self.at_ms, self.payment, self.content_hash)

    @property
    def leaf(self) -> bytes:
        return leaf_hash(self.entry)


def payment_in(details: str) -> bytes:
    """The payload that the details of a signature name: the id under which it is stored, or else what was signed."""
    try:
        named = decode_json(details, dict[str, Any])
        found = bytes.fromhex(str(named.get("payment") or named.get("hash", "")))
    except (msgspec.MsgspecError, ValueError):
        return NO_PAYMENT
    return found if len(found) == PAYMENT_BYTES else NO_PAYMENT


def load_heads(connection: Connection) -> dict[int, int]:
    """The number of the last row of each lane that has one."""
    heads = tables.audit_lane.c
    rows = connection.execute(select(heads.lane, heads.number)).all()
    return {row.lane: row.number for row in rows if row.number}


def load_rows(connection: Connection, lane: int, after: int, upto: int, limit: int) -> Sequence[LaneRow]:
    """The rows of a lane with numbers above `after` up to `upto`, in order, as far as they are there."""
    columns = tables.audit.c
    is_in: ColumnElement[bool] = columns.lane == lane
    number = columns.number
    if lane == OLD_LANE:
        is_in, number = columns.lane.is_(None), columns.sequence
    query = select(tables.audit).where(is_in, number.between(after + 1, upto)).order_by(number).limit(limit)
    return [lane_row(row) for row in connection.execute(query)]


def load_tips(connection: Connection, positions: Mapping[int, int]) -> dict[int, bytes]:
    """The leaves of these rows, by lane, of those that are there."""
    columns = tables.audit.c
    wanted = [(lane, number) for lane, number in positions.items() if lane != OLD_LANE]
    query = select(tables.audit).where(tuple_(columns.lane, columns.number).in_(wanted))
    rows = [lane_row(row) for row in connection.execute(query)] if wanted else []
    if (last := positions.get(OLD_LANE)) is not None:
        rows += load_rows(connection, OLD_LANE, last - 1, last, 1)
    return {row.lane: row.leaf for row in rows}


async def load_range(database: Database, ranges: Mapping[int, tuple[int, int]]) -> AsyncIterator[LaneRow]:
    """The rows of these lanes with numbers above the first up to the last of each range, as far as they are there."""
    for lane, (first, last) in sorted(ranges.items()):
        after = first
        while after < last:
            load = partial(load_rows, lane=lane, after=after, upto=last, limit=CHUNK)
            rows = await database.read(load)
            for row in rows:
                yield row
            if len(rows) < CHUNK:
                break
            after = rows[-1].number


def lane_row(row: Row[Any]) -> LaneRow:
    is_old = row.lane is None
    return LaneRow(
        lane=OLD_LANE if is_old else row.lane,
        number=as_number(row.sequence if is_old else row.number),
        at_ms=as_number(row.at_ms),
        principal=row.principal,
        action=row.action,
        subject=row.subject,
        details=row.details,
        seal=as_bytes(row.hash),
    )


def as_number(value: Any) -> int:
    """A number that somebody may have changed, also into what the column's type does not hold: SQLite takes anything."""
    return min(max(value, 0), 2**63 - 1) if isinstance(value, int) else 0


def as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else b""
