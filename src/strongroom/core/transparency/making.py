"""Makes checkpoints.

What a checkpoint says is read on one snapshot and from rows that nobody may change any more, so no signature waits for it. One
process at a time makes them; if two do, the second one finds the state changed and begins anew.

Nothing is signed that contradicts the checkpoint before it, the one that this process made last, or the file that an operator keeps
elsewhere: whoever put an older database in place does not get it signed.
"""

import asyncio
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import structlog
from sqlalchemy import Connection

from strongroom.core.announcements import Announcement, Announcer
from strongroom.core.clock import Clock
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.trail.restart import find_restart
from strongroom.core.security.trail.rows import keys_of
from strongroom.core.storage.database import Database
from strongroom.core.transparency.checkpoint import (
    NONE_BEFORE,
    Checkpoint,
    CheckpointsBroken,
    Ranges,
    document_of,
    is_last_before,
    log_leaf,
    public_key,
    signing_key,
)
from strongroom.core.transparency.file import CheckpointFile
from strongroom.core.transparency.merkle import Frontier, tree_root
from strongroom.core.transparency.rows import LaneRow, load_heads, load_range, load_tips
from strongroom.core.transparency.store import LogState, Stored, load_checkpoint, load_last, load_state, store

MAX_BATCH: Final = 1 << 14
"""So many rows a checkpoint adds, so that a receipt stays small. A trail that has more new ones gets several checkpoints."""
QUIET_MS: Final = 3_600_000
"""So old the last checkpoint may be when nothing happens."""

EVENT: Final = "audit.checkpoint"
STREAM: Final = "checkpoints"
Progress = Callable[[int, int], None]

log = structlog.get_logger(__name__)


def no_progress(_done: int, _total: int) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """What one snapshot shows."""

    state: LogState
    last: Stored | None
    heads: dict[int, int]
    tips: dict[int, bytes]
    """The rows that the last checkpoint ends with, as they are now."""


class Checkpoints:
    """The checkpoints of one ledger's audit trail."""

    def __init__(
        self,
        ledger: str,
        database: Database,
        trail_key: TrailKey,
        clock: Clock,
        file: CheckpointFile | None = None,
        announcer: Announcer | None = None,
    ) -> None:
        self._ledger = ledger
        self._database = database
        self._trail_key = trail_key
        self._clock = clock
        self._file = file
        self._announcer = announcer
        self._made: Checkpoint | None = None
        self._turn = asyncio.Lock()

    @property
    def public_key(self) -> bytes:
        """Raises: Sealed."""
        return public_key(self._trail_key)

    async def make_due(self) -> None:
        """Makes one where there are new rows, or where the last one is old. Does nothing while the service is sealed."""
        if not self._trail_key.is_open:
            return
        async with self._turn:
            moment = await self._moment()
            last = None if moment.last is None else moment.last.checkpoint
            is_old = last is None or last.at_ms + QUIET_MS <= self._clock.now_ms()
            if is_old or moment.heads != moment.state.positions:
                await self._make()
            elif self._file is not None:
                await self._file.catch_up(self._database, self._ledger)

    async def make(self, progress: Progress = no_progress) -> Sequence[Checkpoint]:
        """Makes one that covers every row that is committed now, or several where there are many; returns them.

        `progress` gets how many rows are covered, of how many.

        Raises:
            Sealed: the key is not in memory.
            CheckpointsBroken: the trail lacks what a checkpoint says that it has.
        """
        async with self._turn:
            return await self._make(progress)

    async def _make(self, progress: Progress = no_progress) -> Sequence[Checkpoint]:
        made = list[Checkpoint]()
        while True:
            moment = await self._moment()
            ranges = _new_rows(moment)
            one = await self._add(moment, ranges)
            if one is None:  # another process was quicker
                continue
            made.append(one)
            self._made = one
            log.info("checkpoint", **document_of(one))
            covered = moment.state.positions | {lane: last for lane, (_, last) in ranges.by_lane.items()}
            progress(one.rows, sum(moment.heads.values()))
            if covered == moment.heads:
                break
        if self._file is not None:
            await self._file.catch_up(self._database, self._ledger)
        return made

    async def _moment(self) -> _Moment:
        """Raises: Sealed, CheckpointsBroken, CheckpointFileUnusable."""
        known = None
        if self._file is not None:
            known = await asyncio.to_thread(self._file.last, self._ledger)
        return await self._database.read(partial(self._look, in_file=known))

    def _look(self, connection: Connection, in_file: Checkpoint | None) -> _Moment:
        state = load_state(connection)
        moment = _Moment(
            state=state,
            last=load_last(connection, self._ledger),
            heads=load_heads(connection),
            tips=load_tips(connection, state.positions),
        )
        self._require_sound(connection, moment)
        for one, where in ((self._made, "this process made"), (in_file, "the file has")):
            if one is not None:
                _require_kept(connection, one, where)
        return moment

    def _require_sound(self, connection: Connection, moment: _Moment) -> None:
        number = 0 if moment.last is None else moment.last.checkpoint.number
        if number != moment.state.number:
            raise _broken(f"the last one is {number}, and its state is of {moment.state.number}")
        if moment.last is None:
            return
        last = moment.last.checkpoint
        if not last.is_signed_by(self.public_key) and not self._is_from_before(connection, last):
            raise _broken(f"{number} is not signed with the key of this service")
        if not hmac.compare_digest(moment.state.frontier.root(), last.root):
            raise _broken("its state is not that of the last one")
        if sum(moment.state.positions.values()) != last.rows:
            raise _broken("its state covers another number of rows than the last one")
        for lane, covered in moment.state.positions.items():
            if moment.heads.get(lane, 0) < covered:
                raise _broken(f"rows of lane {lane} up to {covered} are in {number}, and are gone")
        if moment.tips != moment.state.tips:
            raise _broken(f"rows that {number} ends with are gone, or others are in their place")

    def _is_from_before(self, connection: Connection, last: Checkpoint) -> bool:
        """Whether it is the last one of before the trail began anew, whose key is lost."""
        restart = find_restart(connection, keys_of(self._trail_key))
        return restart is not None and is_last_before(restart, last)

    async def _add(self, moment: _Moment, ranges: Ranges) -> Checkpoint | None:
        """Signs and stores the next one; None: another process was quicker."""
        rows = await self._rows(ranges)
        state, last = moment.state, None if moment.last is None else moment.last.checkpoint
        one = Checkpoint(
            ledger=self._ledger,
            number=state.number + 1,
            at_ms=self._clock.now_ms(),
            rows=(0 if last is None else last.rows) + ranges.count,
            batch_rows=ranges.count,
            batch_root=tree_root(row.leaf for row in rows),
            root=b"",
            previous=NONE_BEFORE if last is None else last.hash,
        )
        frontier = Frontier(state.number, state.frontier.peaks)
        frontier.append(log_leaf(one, ranges))
        one = replace(one, root=frontier.root())
        one = replace(one, signature=signing_key(self._trail_key).sign(one.message))
        positions = state.positions | {lane: upto for lane, (_, upto) in ranges.by_lane.items()}
        tips = state.tips | {row.lane: row.leaf for row in rows if row.number == positions[row.lane]}
        after = LogState(number=one.number, positions=positions, tips=tips, frontier=frontier)

        def work(connection: Connection) -> bool:
            if load_state(connection, to_change=True).number != state.number:
                return False
            store(connection, one, ranges, after)
            self._announce(connection, one)
            return True

        return one if await self._database.write(work) else None

    def _announce(self, connection: Connection, one: Checkpoint) -> None:
        if self._announcer is not None and self._announcer.wants(connection, EVENT):
            said = Announcement(kind=EVENT, stream=STREAM, data=document_of(one), key=str(one.number))
            self._announcer.announce(connection, [said])

    async def _rows(self, ranges: Ranges) -> list[LaneRow]:
        rows = [row async for row in load_range(self._database, ranges.by_lane)]
        found = iter(rows)
        for lane, (first, last) in sorted(ranges.by_lane.items()):
            for number in range(first + 1, last + 1):
                row = next(found, None)
                if row is None or (row.lane, row.number) != (lane, number):
                    raise _broken(f"row {number} of lane {lane} is missing")
        return rows


def _new_rows(moment: _Moment) -> Ranges:
    """What the next checkpoint adds, at most `MAX_BATCH` rows."""
    found, left = dict[int, tuple[int, int]](), MAX_BATCH
    for lane, head in sorted(moment.heads.items()):
        covered = moment.state.positions.get(lane, 0)
        last = min(head, covered + left)
        if last > covered:
            found[lane] = (covered, last)
            left -= last - covered
    return Ranges(by_lane=found)


def _require_kept(connection: Connection, one: Checkpoint, where: str) -> None:
    stored = load_checkpoint(connection, one.ledger, one.number)
    if stored is None or stored.checkpoint.message != one.message:
        raise _broken(f"{one.number}, which {where}, is not in the database: it may be an older copy")


def _broken(why: str) -> CheckpointsBroken:
    return CheckpointsBroken(
        f"No checkpoint is signed, because what is stored contradicts those before: {why}. `strongroom audit verify` names"
        " everything that is wrong"
    )
