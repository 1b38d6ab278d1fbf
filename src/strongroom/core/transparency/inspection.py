"""`strongroom audit verify`: whether the trail is whole, and still has everything that its checkpoints say.

Whoever can write the database can change, remove and add rows, cut the end off, wipe tables, or put an older copy in place, but cannot
sign. What they did shows as findings, each with a stable code:

    chain_broken            a row was changed, removed, reordered or put in
    rows_missing            rows that a checkpoint covers are gone
    rows_altered            rows that a checkpoint covers are not those that it was signed for
    checkpoint_forged       a checkpoint is not signed with the key
    checkpoint_missing      a checkpoint is gone; if it came from elsewhere, the database may be an older copy
    checkpoint_differs      the database has another checkpoint with this number
    checkpoint_chain        a checkpoint does not continue the one before it
    checkpoint_state        what the next checkpoint would go on from does not belong to the last one

What is no error, and must be known, is a notice:

    trail_restarted         an operator began the trail anew, because its secret was lost: what was written before has no key any more

Further checks have codes of their own (`core.ledger.inspecting`).
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import msgspec
from sqlalchemy import Connection

from strongroom.core.clock import iso_instant
from strongroom.core.security.audit import AuditBroken
from strongroom.core.security.trail.lanes import OLD_LANE
from strongroom.core.security.trail.restart import Restart
from strongroom.core.storage.database import Database
from strongroom.core.transparency.checkpoint import (
    NONE_BEFORE,
    Checkpoint,
    CheckpointsBroken,
    Ranges,
    is_last_before,
    log_leaf,
)
from strongroom.core.transparency.merkle import Frontier, tree_root
from strongroom.core.transparency.rows import load_range
from strongroom.core.transparency.store import (
    LogState,
    Stored,
    load_checkpoint,
    load_checkpoints,
    load_last,
    load_state,
)

CHUNK: Final = 200
LISTED: Final = 10
RESTARTED: Final = "trail_restarted"
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, or that must be known."""

    code: str
    detail: str


TrailCheck = Callable[[], Awaitable[Iterable[Finding]]]
"""A further check of `verify`: of what the trail should know of other tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    findings: Sequence[Finding]
    rows: int
    """So many rows of the chains are whole; 0 where they are not."""
    checkpoints: int
    last: Checkpoint | None
    restart: Restart | None = None

    @property
    def summary(self) -> str:
        """Where nothing is wrong."""
        last = self.last
        if self.restart is not None:
            until = (
                "no checkpoint yet" if last is None else f"the last checkpoint is {last.number} of {last.at}"
            )
            lost = min(self.rows, self.restart.rows)
            return f"{self.rows - lost} rows verified, and {lost} compared with the restart; {until}"
        if last is None:
            return f"{self.rows} rows verified; no checkpoint yet"
        return f"{self.rows} rows verified, {last.rows} of them up to checkpoint {last.number} of {last.at}"

    @property
    def notices(self) -> Sequence[Finding]:
        """What is no error, and must be known."""
        return [] if self.restart is None else [Finding(code=RESTARTED, detail=_told(self.restart))]


@dataclass(slots=True, kw_only=True)
class _Walk:
    """Where the walk along the checkpoints is."""

    restart: Restart | None
    last: Checkpoint | None = None
    frontier: Frontier | None = field(default_factory=Frontier)
    """None: a gap hides how the log goes on."""
    positions: dict[int, int] = field(default_factory=dict)
    tips: dict[int, bytes] = field(default_factory=dict)
    count: int = 0
    findings: list[Finding] = field(default_factory=list)

    def find(self, code: str, detail: str) -> None:
        self.findings.append(Finding(code=code, detail=detail))

    def is_from_before(self, one: Checkpoint) -> bool:
        """Whether its key is lost. The last one of them is known, and those before by what each one names."""
        if self.restart is None or one.number > self.restart.checkpoint.number:
            return False
        return one.number < self.restart.checkpoint.number or is_last_before(self.restart, one)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begun:
    """What there was when the look began."""

    last: Checkpoint | None
    state: LogState | None
    fault: str
    """Why there is no state."""


class Inspection:
    """Of one ledger's trail."""

    def __init__(
        self,
        ledger: str,
        database: Database,
        public_key: bytes,
        chains: Callable[[], Awaitable[int]],
        checks: Sequence[TrailCheck] = (),
        restarted: Callable[[], Awaitable[Restart | None]] | None = None,
    ) -> None:
        """`chains` checks the rows themselves and returns how many there are; it raises `AuditBroken`.

        `restarted` finds the last time that the trail began anew.
        """
        self._ledger = ledger
        self._database = database
        self._public_key = public_key
        self._chains = chains
        self._checks = checks
        self._restarted = restarted

    async def run(
        self, kept: Sequence[Checkpoint] = (), progress: Progress = lambda _done, _all: None
    ) -> Report:
        """`kept`: checkpoints that somebody keeps elsewhere. Those of other ledgers are passed over."""
        findings, rows = list[Finding](), 0
        try:
            rows = await self._chains()
        except AuditBroken as error:
            findings.append(Finding(code="chain_broken", detail=error.message))
        restart = None if self._restarted is None else await self._restarted()
        begun = await self._database.read(self._look)  # at one moment: others may be made meanwhile
        walk = await self._walk(begun, restart, progress)
        findings += [*walk.findings, *self._state(begun, walk)]
        for one in kept:
            if one.ledger == self._ledger:
                findings += await self._kept(one, restart)
        for check in self._checks:
            findings += await check()
        return Report(findings=findings, rows=rows, checkpoints=walk.count, last=walk.last, restart=restart)

    def _look(self, connection: Connection) -> _Begun:
        last = load_last(connection, self._ledger)
        try:
            state, fault = load_state(connection), ""
        except CheckpointsBroken as error:
            state, fault = None, error.message
        return _Begun(last=None if last is None else last.checkpoint, state=state, fault=fault)

    async def _walk(self, begun: _Begun, restart: Restart | None, progress: Progress) -> _Walk:
        """Along all stored checkpoints, from the first to the one that was the last."""
        walk = _Walk(restart=restart)
        last = 0 if begun.last is None else begun.last.number
        if restart is not None and last < restart.checkpoint.number:
            missing = f"checkpoints after {last} are gone: when the trail began anew, the last one was"
            walk.find("checkpoint_missing", f"{missing} {restart.checkpoint.number}")
        if begun.last is None:
            return walk
        end, total = begun.last.number, begun.last.rows
        while walk.last is None or walk.last.number < end:
            after = 0 if walk.last is None else walk.last.number
            load = partial(load_checkpoints, ledger=self._ledger, after=after, limit=CHUNK)
            found = [one for one in await self._database.read(load) if one.checkpoint.number <= end]
            if not found:
                break  # somebody removes them now
            for stored in found:
                await self._step(walk, stored)
                progress(min(stored.checkpoint.rows, total), total)
        return walk

    async def _step(self, walk: _Walk, stored: Stored) -> None:
        one, before = stored.checkpoint, walk.last
        expected = 1 if before is None else before.number + 1
        if one.number != expected:
            missing = str(expected) if one.number == expected + 1 else f"{expected} to {one.number - 1}"
            walk.find("checkpoint_missing", f"checkpoint {missing} is gone")
            walk.frontier = None
        elif one.previous != (NONE_BEFORE if before is None else before.hash):
            walk.find("checkpoint_chain", f"checkpoint {one.number} does not name the one before it")
        if not one.is_signed_by(self._public_key) and not walk.is_from_before(one):
            walk.find("checkpoint_forged", f"checkpoint {one.number} is not signed with the key")
        walk.last, walk.count = one, walk.count + 1
        try:
            ranges = Ranges.parse(stored.ranges)
        except (ValueError, msgspec.MsgspecError):
            walk.find("checkpoint_chain", f"what checkpoint {one.number} covers was changed")
            walk.frontier = None
            return
        self._check_log(walk, one, ranges)
        walk.positions |= {lane: upto for lane, (_, upto) in ranges.by_lane.items()}
        await self._check_rows(walk, one, ranges)

    def _check_log(self, walk: _Walk, one: Checkpoint, ranges: Ranges) -> None:
        if walk.frontier is None:
            return
        walk.frontier.append(log_leaf(one, ranges))
        continues = all(walk.positions.get(lane, 0) == first for lane, (first, _) in ranges.by_lane.items())
        upto = walk.positions | {lane: last for lane, (_, last) in ranges.by_lane.items()}
        if (
            walk.frontier.root() != one.root
            or not continues
            or (ranges.count, sum(upto.values())) != (one.batch_rows, one.rows)
        ):
            walk.find("checkpoint_chain", f"checkpoint {one.number} does not continue those before it")
            walk.frontier = None

    async def _check_rows(self, walk: _Walk, one: Checkpoint, ranges: Ranges) -> None:
        leaves = list[bytes]()
        numbers: dict[int, list[int]] = {lane: [] for lane in ranges.by_lane}
        async for row in load_range(self._database, ranges.by_lane):
            leaves.append(row.leaf)
            walk.tips[row.lane] = leaves[-1]
            numbers[row.lane].append(row.number)
        gaps = [
            gap
            for lane, (first, last) in sorted(ranges.by_lane.items())
            for gap in _gaps(lane, first, last, numbers[lane])
        ]
        if gaps:
            walk.find(
                "rows_missing",
                f"checkpoint {one.number} of {one.at} covers rows that are gone: {', '.join(gaps)}",
            )
        elif tree_root(leaves) != one.batch_root:
            where = ", ".join(
                f"lane {lane}: {first + 1} to {last}" for lane, (first, last) in ranges.by_lane.items()
            )
            walk.find("rows_altered", f"the rows that checkpoint {one.number} covers were changed: {where}")

    def _state(self, begun: _Begun, walk: _Walk) -> list[Finding]:
        """What the next checkpoint goes on from. Whoever makes one refuses what does not belong to the last one."""
        state = begun.state
        if state is None:
            return [Finding(code="checkpoint_state", detail=begun.fault)]
        number, root = (0, Frontier().root()) if walk.last is None else (walk.last.number, walk.last.root)
        if state.number > number:
            detail = f"checkpoints after {number} are gone: the last one was {state.number}"
            return [Finding(code="checkpoint_missing", detail=detail)]
        is_sound = state.positions == walk.positions and (bool(walk.findings) or state.tips == walk.tips)
        if state.number != number or state.frontier.root() != root or not is_sound:
            detail = f"strongroom_checkpoint_state does not belong to checkpoint {number}"
            return [Finding(code="checkpoint_state", detail=detail)]
        return []

    async def _kept(self, one: Checkpoint, restart: Restart | None) -> list[Finding]:
        name = f"checkpoint {one.number} of {one.at}"
        is_from_before = restart is not None and one.number <= restart.checkpoint.number
        if not is_from_before and not one.is_signed_by(self._public_key):
            detail = f"{name}, which was given, is not signed with the key"
            if restart is not None:
                detail += "; if it was signed with the one that is lost, the trail began anew on an older copy of the database"
            return [Finding(code="checkpoint_forged", detail=detail)]
        load = partial(load_checkpoint, ledger=self._ledger, number=one.number)
        stored = await self._database.read(load)
        if stored is None:
            detail = f"{name} with {one.rows} rows is not in the database: it is an older copy, or was wiped"
            return [Finding(code="checkpoint_missing", detail=detail)]
        if stored.checkpoint.message != one.message:
            detail = f"{name} is another one in the database: the trail was rewritten"
            return [Finding(code="checkpoint_differs", detail=detail)]
        return []


def _told(restart: Restart) -> str:
    """For people: what cannot be verified any more, and what can."""
    lanes = [
        "the rows of before there were lanes"
        if lane == OLD_LANE
        else f"lane {lane} up to row {one.end.number}"
        for lane, one in sorted(restart.lanes.items())
    ]
    more = len(lanes) - LISTED
    listed = ", ".join(lanes[:LISTED]) + (f", and {more} more lanes" if more > 0 else "")
    unfit = [str(lane) for lane, one in sorted(restart.lanes.items()) if not one.fits]
    altered = f". Before that, somebody had changed lanes {', '.join(unfit)} or their heads" if unfit else ""
    number = restart.checkpoint.number
    signed = f", and checkpoints up to {number}, whose key is lost with it" if number else ""
    return (
        f"{restart.principal} began the trail anew at {iso_instant(restart.at_ms)}: {restart.why}. Nobody can verify who wrote the rows"
        f" before ({listed}){signed}. That they follow one another and were not changed since then is checked{altered}"
    )


def _gaps(lane: int, first: int, last: int, found: Sequence[int]) -> list[str]:
    """The stretches of numbers that are missing, in words."""
    gaps, expected = list[str](), first + 1
    for number in [*found, last + 1]:
        if number > expected:
            stretch = str(expected) if number == expected + 1 else f"{expected} to {number - 1}"
            gaps.append(f"lane {lane}: {stretch}")
        expected = number + 1
    return gaps
