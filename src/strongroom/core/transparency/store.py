"""Loads and stores checkpoints."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, select, true, update

from strongroom.core.coordination.locks import take
from strongroom.core.json_decoder import decode_json
from strongroom.core.security.trail.restart import LastCheckpoint
from strongroom.core.storage.database import locking
from strongroom.core.transparency.checker import HASH_BYTES
from strongroom.core.transparency.checkpoint import Checkpoint, CheckpointsBroken, Ranges
from strongroom.core.transparency.merkle import Frontier
from strongroom.core.transparency.rows import as_bytes, as_number
from strongroom.core.transparency.tables import checkpoint, checkpoint_state

STATE_ID: Final = 1
LOCK: Final = "checkpoints"
LATE_MS: Final = 3_600_000
"""A clock that writes rows may be so far ahead of the one that makes checkpoints; if it is more, all checkpoints are read."""
CHUNK: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A checkpoint, and the rows of its batch as the database has them noted, which the root of the log covers."""

    checkpoint: Checkpoint
    ranges: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogState:
    """Where the log stands: how far it covers each lane, and its whole subtrees."""

    number: int
    positions: dict[int, int]
    tips: dict[int, bytes]
    """The leaf of the last row that it covers, by lane."""
    frontier: Frontier


def load_state(connection: Connection, *, to_change: bool = False) -> LogState:
    """Raises: CheckpointsBroken: somebody changed it."""
    if to_change:
        take(connection, LOCK)
    query = select(checkpoint_state).where(checkpoint_state.c.id == STATE_ID)
    row = connection.execute(locking(query) if to_change else query).first()
    broken = CheckpointsBroken(
        "The table strongroom_checkpoint_state was changed: `strongroom audit verify` looks at what is there"
    )
    if row is None:
        raise broken
    try:
        lanes = decode_json(row.positions, list[tuple[int, int, str]])
        peaks = [row.peaks[place : place + HASH_BYTES] for place in range(0, len(row.peaks), HASH_BYTES)]
        return LogState(
            number=row.number,
            positions={lane: number for lane, number, _ in lanes},
            tips={lane: bytes.fromhex(tip) for lane, _, tip in lanes},
            frontier=Frontier(row.number, peaks),
        )
    except (ValueError, msgspec.MsgspecError):
        raise broken from None


def load_checkpoint(connection: Connection, ledger: str, number: int) -> Stored | None:
    row = connection.execute(select(checkpoint).where(checkpoint.c.number == number)).first()
    return None if row is None else _stored(ledger, row)


def load_last(connection: Connection, ledger: str) -> Stored | None:
    """The one with the highest number."""
    query = select(checkpoint).order_by(checkpoint.c.number.desc()).limit(1)
    row = connection.execute(query).first()
    return None if row is None else _stored(ledger, row)


def last_for_restart(connection: Connection, ledger: str) -> LastCheckpoint:
    """What the first row of a trail that begins anew notes."""
    last = load_last(connection, ledger)
    if last is None:
        return LastCheckpoint()
    return LastCheckpoint(number=last.checkpoint.number, hash=last.checkpoint.hash)


def load_checkpoints(connection: Connection, ledger: str, after: int, limit: int) -> Sequence[Stored]:
    """Those with higher numbers than `after`, the lowest first."""
    query = select(checkpoint).where(checkpoint.c.number > after).order_by(checkpoint.c.number).limit(limit)
    return [_stored(ledger, row) for row in connection.execute(query)]


def load_newest(connection: Connection, ledger: str, before: int | None, limit: int) -> Sequence[Stored]:
    """Those with lower numbers than `before`, the highest first."""
    query = select(checkpoint).order_by(checkpoint.c.number.desc()).limit(limit)
    if before is not None:
        query = query.where(checkpoint.c.number < before)
    return [_stored(ledger, row) for row in connection.execute(query)]


def load_covering(connection: Connection, ledger: str, lane: int, number: int, at_ms: int) -> Stored | None:
    """The checkpoint whose batch has this row, which was written at about `at_ms`; None: none has it yet."""
    found = _search(connection, ledger, lane, number, checkpoint.c.at_ms >= at_ms - LATE_MS)
    return found or _search(connection, ledger, lane, number, true())


def _search(
    connection: Connection, ledger: str, lane: int, number: int, condition: ColumnElement[bool]
) -> Stored | None:
    after = 0
    while True:
        query = (
            select(checkpoint)
            .where(condition, checkpoint.c.number > after)
            .order_by(checkpoint.c.number)
            .limit(CHUNK)
        )
        rows = connection.execute(query).all()
        for row in rows:
            first, last = _ranges(row.ranges).by_lane.get(lane, (0, 0))
            if first < number <= last:
                return _stored(ledger, row)
        if len(rows) < CHUNK:
            return None
        after = rows[-1].number


def _ranges(text: str) -> Ranges:
    try:
        return Ranges.parse(text)
    except (ValueError, msgspec.MsgspecError):
        return Ranges(by_lane={})


def store(connection: Connection, made: Checkpoint, ranges: Ranges, state: LogState) -> None:
    """Stores the next checkpoint with the state after it. The caller has loaded the state `to_change`."""
    connection.execute(
        checkpoint.insert(),
        {
            "number": made.number,
            "at_ms": made.at_ms,
            "row_count": made.rows,
            "batch_rows": made.batch_rows,
            "batch_root": made.batch_root,
            "root": made.root,
            "previous": made.previous,
            "signature": made.signature,
            "ranges": ranges.text,
        },
    )
    lanes = [[lane, number, state.tips[lane].hex()] for lane, number in sorted(state.positions.items())]
    values = {
        "number": state.number,
        "positions": msgspec.json.encode(lanes).decode(),
        "peaks": b"".join(state.frontier.peaks),
    }
    connection.execute(update(checkpoint_state).where(checkpoint_state.c.id == STATE_ID).values(**values))


def _stored(ledger: str, row: Row[Any]) -> Stored:
    """What no number or hash may be is read as another one, to which the signature does not belong either."""
    found = Checkpoint(
        ledger=ledger,
        number=as_number(row.number),
        at_ms=as_number(row.at_ms),
        rows=as_number(row.row_count),
        batch_rows=as_number(row.batch_rows) % 2**32,
        batch_root=as_bytes(row.batch_root),
        root=as_bytes(row.root),
        previous=as_bytes(row.previous),
        signature=as_bytes(row.signature),
    )
    return Stored(checkpoint=found, ranges=str(row.ranges))
