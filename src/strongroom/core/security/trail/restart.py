"""The audit trail begun anew under another secret, by an operator, because the one before is lost.

The heads of the lanes are tagged under the new secret, and the first row that is written with it, `audit.restart`, says up to which
number each lane was written before. Nobody can verify those rows any more. So the row has a hash of them as they stood at that
moment, and that of the last checkpoint: what is changed later is found. The row is keyed as any other: whoever has no key can
neither make one nor take it away.
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, select

from strongroom.core.json_decoder import decode_json
from strongroom.core.security.trail.lanes import OLD_LANE, end_of
from strongroom.core.security.trail.reading import content_of
from strongroom.core.security.trail.rows import GENESIS, End, TrailKeys, row_hash
from strongroom.core.storage import tables

RESTART: Final = "audit.restart"
SUBJECT: Final = "audit trail"
CHUNK: Final = 1000
_COLUMNS = tables.audit.c
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The rows of a lane that were written under the secret that is lost."""

    end: End
    digest: bytes = GENESIS
    """Of these rows as they stood. Anybody can make it; the row that has it is keyed."""
    fits: bool = True
    """Whether the head of the lane named the last of these rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastCheckpoint:
    """The last checkpoint that was signed before. Number 0: there is none."""

    number: int = 0
    hash: bytes = GENESIS


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """What the last row `audit.restart` says."""

    at_ms: int
    principal: str
    why: str
    lanes: Mapping[int, Stretch]
    """Of the lanes that were used. -1: the rows of before there were lanes."""
    checkpoint: LastCheckpoint

    @property
    def rows(self) -> int:
        """So many rows cannot be verified any more."""
        return sum(one.end.number for one in self.lanes.values())

    def lost(self, lane: int) -> int:
        """The number of the lane's last row that cannot be verified."""
        stretch = self.lanes.get(lane)
        return 0 if stretch is None else stretch.end.number


class _Details(msgspec.Struct):
    why: str
    lanes: list[tuple[int, int, int, str, bool]]
    checkpoint: tuple[int, str]


def details_of(why: str, stretches: Sequence[Stretch], checkpoint: LastCheckpoint) -> dict[str, Any]:
    """The details of the row. Of each lane: its number, the last row's number and sequence, the digest, whether its head fitted."""
    lanes = [
        [one.end.lane, one.end.number, one.end.sequence, one.digest.hex(), one.fits]
        for one in stretches
        if one.end.number
    ]
    return {"why": why, "lanes": lanes, "checkpoint": [checkpoint.number, checkpoint.hash.hex()]}


def find_restart(connection: Connection, keys: TrailKeys) -> Restart | None:
    """The last restart that was written with these keys. Rows that pretend to be one are passed over; they break their chains."""
    is_one = (
        _COLUMNS.subject == SUBJECT,
        _COLUMNS.action == RESTART,
    )  # subjects have an index, actions have none
    query = select(tables.audit).where(*is_one).order_by(_COLUMNS.sequence.desc())
    return next((found for row in connection.execute(query) if (found := _read(row, keys))), None)


def _read(row: Row[Any], keys: TrailKeys) -> Restart | None:
    try:
        details = decode_json(row.details, _Details)
        lanes = {
            lane: Stretch(
                end=End(lane=lane, number=number, sequence=sequence),
                digest=bytes.fromhex(digest),
                fits=fits,
            )
            for lane, number, sequence, digest, fits in details.lanes
        }
        before = lanes[row.lane].end if row.lane in lanes else End(lane=row.lane)
        end = End(lane=row.lane, number=before.number, sequence=before.sequence, hash=row.previous_hash)
        is_first = row.number == end.number + 1
        if not is_first or not hmac.compare_digest(row.hash, row_hash(keys, end, content_of(row))):
            return None
        number, text = details.checkpoint
        checkpoint = LastCheckpoint(number=number, hash=bytes.fromhex(text))
    except (TypeError, ValueError, msgspec.MsgspecError):  # SQLite takes anything
        return None
    return Restart(
        at_ms=row.at_ms, principal=row.principal, why=details.why, lanes=lanes, checkpoint=checkpoint
    )


def digest_after(digest: bytes, row: Row[Any]) -> bytes:
    """Of all rows of a lane up to this one. Raises: TypeError: a value is of another kind than its column."""
    content = content_of(row)
    said = _encoder.encode(
        [row.sequence, content.at_ms, content.principal, content.action, content.subject, content.details]
    )
    chained = digest + row.previous_hash + row.hash
    return hashlib.sha256(chained + _encoder.encode([row.lane, row.number]) + said).digest()


def measure(connection: Connection, heads: Sequence[Row[Any]]) -> list[Stretch]:
    """The rows of each lane as they stand, and where the lane goes on. The heads are locked.

    A lane goes on after its last row. If the head names a later one, rows are gone: their numbers are not used again.

    Raises:
        TypeError: a value is of another kind than its column.
    """
    return [_measure(connection, head) for head in heads]


def _measure(connection: Connection, head: Row[Any]) -> Stretch:
    end, digest = End(lane=head.lane), GENESIS
    for row in _rows(connection, head.lane):
        number = row.sequence if head.lane == OLD_LANE else row.number
        digest = digest_after(digest, row)
        end = End(lane=head.lane, number=number, sequence=row.sequence, hash=row.hash)
    named = end_of(head)
    is_cut = named.number > end.number
    return Stretch(end=named if is_cut else end, digest=digest, fits=named == end)


def _rows(connection: Connection, lane: int) -> Iterator[Row[Any]]:
    is_in: ColumnElement[bool] = _COLUMNS.lane == lane
    place, last = _COLUMNS.number, 0
    if lane == OLD_LANE:
        is_in, place = _COLUMNS.lane.is_(None), _COLUMNS.sequence
    while True:
        query = select(tables.audit).where(is_in, place > last).order_by(place).limit(CHUNK)
        rows = connection.execute(query).all()
        yield from rows
        if len(rows) < CHUNK:
            return
        last = rows[-1].sequence if lane == OLD_LANE else rows[-1].number
