"""The rows of rolling windows: every signature that counts updates them.

Two signatures at once, in two processes or on two database nodes, update the same row: one waits for the other, or is undone
by the database and runs again. A sum that was only read could not do that.

What one signature counted is stored with it. If the ledger refuses it for good, that is given back, in the transaction that
notes the refusal.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import Connection, select

from strongroom.core.coordination.spent import NOTHING, Spent, decode_spent, encode_spent
from strongroom.core.json_decoder import JsonDecoder
from strongroom.core.storage import tables
from strongroom.core.storage.database import insert_ignore, locking
from strongroom.core.storage.statements import Statement, Values, listed, select_in, upsert_rows

_COLUMNS = tables.window.c
_READ = select(_COLUMNS.id, _COLUMNS.rule, _COLUMNS.subject, _COLUMNS.spent).where(listed(_COLUMNS.id))
_LOOK = Statement(_READ)
# One order for all, so that no two signatures wait for each other.
_LOCK = Statement(locking(_READ.order_by(_COLUMNS.id)))
_STORED: Final = ("id", "rule", "subject", "spent", "updated_at_ms")
_CHANGED: Final = ("spent", "updated_at_ms")


class WindowOf(NamedTuple):
    """Whose window it is: a rule's id, and the subject that the rule counts apart."""

    rule: str
    subject: str


class Counted(NamedTuple):
    """What one signature counted in one window."""

    window: bytes
    bucket: int
    amount: str


Windows = Mapping[bytes, tuple[WindowOf, Spent]]


def look_at_windows(connection: Connection, ids: Sequence[bytes]) -> Windows:
    """What the windows hold, without those that hold nothing yet."""
    return _windows(select_in(connection, _LOOK, ids))


def lock_windows(
    connection: Connection, ids: Iterable[bytes], owner_of: Callable[[bytes], WindowOf], now_ms: int
) -> Windows:
    """What the windows hold. Their rows stay locked until the commit, and are made where they are missing."""
    ids = sorted(ids)
    found = _windows(select_in(connection, _LOCK, ids))
    missing = [each for each in ids if each not in found]
    if not missing:
        return found
    rows = [
        {
            "id": each,
            "rule": owner.rule,
            "subject": owner.subject,
            "spent": encode_spent(NOTHING),
            "updated_at_ms": now_ms,
        }
        for each, owner in zip(missing, map(owner_of, missing), strict=True)
    ]
    insert_ignore(connection, tables.window, rows)
    return _windows(select_in(connection, _LOCK, ids))


def store_windows(connection: Connection, windows: Windows, now_ms: int) -> None:
    """Stores windows whose rows are locked. One statement on every database: an upsert, of which nothing is ever inserted."""
    rows = [
        (each, owner.rule, owner.subject, encode_spent(spent), now_ms)
        for each, (owner, spent) in sorted(windows.items())
    ]
    upsert_rows(connection, tables.window, _STORED, rows, _CHANGED)


def encode_counted(counts: Iterable[Counted]) -> str:
    return _encoder.encode(list(counts)).decode()


def decode_counted(counted: str) -> Sequence[Counted]:
    """Raises: msgspec.DecodeError."""
    return _counted.decode(counted)


def give_back(connection: Connection, counted: str, now_ms: int) -> None:
    """Takes out of the windows what one signature counted there. Where a window or its bucket is gone, nothing is left to take."""
    _change(connection, counted, now_ms, lambda spent, one: spent.minus(one.bucket, int(one.amount)))


def count_again(connection: Connection, counted: str, now_ms: int) -> None:
    """Undoes `give_back`: what was refused happened after all."""
    _change(connection, counted, now_ms, lambda spent, one: spent.plus(one.bucket, int(one.amount)))


def _change(
    connection: Connection, counted: str, now_ms: int, changed: Callable[[Spent, Counted], Spent]
) -> None:
    by_window = {each.window: each for each in _counted.decode(counted)}
    found = _windows(select_in(connection, _LOCK, sorted(by_window)))
    after = {each: (owner, changed(spent, by_window[each])) for each, (owner, spent) in found.items()}
    store_windows(connection, after, now_ms)


def _windows(rows: Iterable[Values]) -> Windows:
    return {bytes(row[0]): (WindowOf(row[1], row[2]), decode_spent(row[3])) for row in rows}


_encoder = msgspec.json.Encoder()
_counted = JsonDecoder(list[Counted])
