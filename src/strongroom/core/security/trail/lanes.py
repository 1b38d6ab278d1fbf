"""The lanes of the audit trail: where a transaction appends, and what keeps all of them out.

A transaction locks the head of its lane from its row on to its commit. There are 16 slots of 16 lanes. A process takes a slot, and
each of its database connections a lane of it, so that no two transactions of a process wait for one head. Where two processes share
a slot, or a connection finds all lanes taken, they wait; the chains stay whole, because the head is locked.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary, ref

from sqlalchemy import Connection, Engine, Row, func, literal_column, select, update

from strongroom.core.security.trail.rows import End
from strongroom.core.storage import tables
from strongroom.core.storage.database import locking
from strongroom.core.storage.statements import Statement, arg, execute, execute_many

SLOTS: Final = 16
WIDTH: Final = 16
LANES: Final = SLOTS * WIDTH
OLD_LANE: Final = -1
CANDIDATES: Final = 8
"""Among so many slots, those that were used longest ago, processes that start at the same time choose different ones."""

_HEADS = tables.audit_lane.c
# Every signature runs these statements. They are built once, because building one costs as much as executing it.
_LOCK = Statement(locking(select(tables.audit_lane).where(_HEADS.lane == arg("lane"))), "lane")
_LOCK_ALL = locking(select(tables.audit_lane).order_by(_HEADS.lane))
_MOVE = Statement(
    update(tables.audit_lane)
    .where(_HEADS.lane == arg("lane"))
    .values({name: arg(name) for name in ("number", "sequence", "hash", "tag", "at_ms")}),
    *("number", "sequence", "hash", "tag", "at_ms", "lane"),
)
_EXCLUDE = update(tables.audit_lane).values(excluded=_HEADS.excluded + literal_column("1"))
_USED = (
    select(
        func.floor(_HEADS.lane / literal_column(str(WIDTH))).label("slot"),
        func.max(_HEADS.at_ms).label("used"),
    )
    .where(_HEADS.lane >= 0)
    .group_by("slot")
)


class _Held:
    """A connection's hold on its lane; it ends with the connection."""

    __slots__ = ("__weakref__", "lane")

    def __init__(self, lane: int) -> None:
        self.lane = lane


class _Slot:
    """The lanes of one process on one database."""

    def __init__(self, first: int, width: int) -> None:
        self._lanes = range(first, first + width)
        self._holds: dict[int, ref[_Held]] = {}
        self._turn = 0

    def take(self) -> _Held:
        """A lane that no connection of this process has; if all are taken, one of them in turn."""
        for lane in self._lanes:
            hold = self._holds.get(lane)
            if hold is None or hold() is None:
                break
        else:
            lane = self._lanes[self._turn % len(self._lanes)]
            self._turn += 1
        held = _Held(lane)
        self._holds[lane] = ref(held)
        return held


class Lanes:
    """Gives each connection of this process its lane."""

    def __init__(self, *, slots: int = SLOTS, width: int = WIDTH) -> None:
        """Fewer `slots` and a smaller `width` use only a part of the lanes."""
        self._slots = slots
        self._width = width
        self._taken: WeakKeyDictionary[Engine, _Slot] = WeakKeyDictionary()

    def of(self, connection: Connection) -> int:
        """The connection's lane. On SQLite, which has one writer, all have the first one."""
        if connection.dialect.name == "sqlite":
            return 0
        held: _Held | None = connection.info.get(self)
        if held is None:
            slot = self._taken.get(connection.engine)
            if slot is None:
                slot = self._taken[connection.engine] = _Slot(self._choose(connection) * WIDTH, self._width)
            held = connection.info[self] = slot.take()
        return held.lane

    def _choose(self, connection: Connection) -> int:
        """A slot that was used long ago. The connection's number, which is its own at the server, draws among them."""
        rows = connection.execute(_USED).all()
        used = {int(row.slot): int(row.used) for row in rows}
        longest_ago = sorted(range(self._slots), key=lambda slot: used.get(slot, 0))[:CANDIDATES]
        own: int = connection.exec_driver_sql("SELECT CONNECTION_ID()").scalar_one()
        return longest_ago[own % len(longest_ago)]


class Head(NamedTuple):
    """The head of a lane as it is stored."""

    lane: int
    number: int
    sequence: int
    hash: bytes
    tag: bytes | None
    at_ms: int
    excluded: int


def lock_head(connection: Connection, lane: int) -> Head | None:
    rows = execute(connection, _LOCK, lane)
    return Head(*rows[0]) if rows else None


def lock_heads(connection: Connection) -> Sequence[Row[Any]]:
    """All heads, also that of lane -1."""
    return connection.execute(_LOCK_ALL).all()


def move_head(connection: Connection, end: End, tag: bytes, at_ms: int) -> None:
    """Stores the end of a lane, with its tag and time."""
    execute(connection, _MOVE, end.number, end.sequence, end.hash, tag, at_ms, end.lane)


def move_heads(connection: Connection, moves: Sequence[tuple[End, bytes, int]]) -> None:
    """`move_head` for several lanes."""
    rows = [(end.number, end.sequence, end.hash, tag, at_ms, end.lane) for end, tag, at_ms in moves]
    execute_many(connection, _MOVE, rows)


def exclude_signatures(connection: Connection) -> None:
    """Lets no transaction that appends to the trail commit beside this one, on whatever database node it is.

    On one node the locks of what the two check do that too; other nodes know only of rows that both change. It comes before what
    this transaction appends itself. On SQLite there is one writer.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(_EXCLUDE)


def end_of(row: Row[Any] | Head) -> End:
    return End(lane=row.lane, number=row.number, sequence=row.sequence, hash=row.hash)
