"""Verifies the audit trail: each lane's chain under its key, what the heads say, and that every signature has its row.

Whoever changes the database without the key can neither make a row nor set a head back to an earlier one. What an old copy of the
heads and rows brings back is found where signatures that are stored lack their rows; a checkpoint that is kept elsewhere finds it
in every case. Where the secret was lost, rows of before have no key: they are compared with what was noted when the trail began
anew under another one.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sqlalchemy import Row

from strongroom.core.security.audit import AuditBroken, is_ours
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.trail.lanes import LANES, OLD_LANE, end_of
from strongroom.core.security.trail.reading import (
    Extent,
    Outline,
    content_of,
    old_rows,
    outline_of,
    rows_of,
)
from strongroom.core.security.trail.restart import Restart, digest_after, find_restart
from strongroom.core.security.trail.rows import (
    GENESIS,
    End,
    TrailKeys,
    keys_of,
    old_hash,
    row_hash,
)
from strongroom.core.storage.database import Database
from strongroom.core.transparency.signatures import Signatures

SHOWN: Final = 10
STRANGE: Final = "a value is of another kind than its column, so that the rest was not looked at"
"""SQLite takes anything."""
NOTHING: Final = Extent(rows=0, numbered=0, first=0, last=0)
Note = Callable[[Row[Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What is wrong with a trail, a sentence each, and what there is."""

    faults: tuple[str, ...]
    rows: int
    """The rows that were looked at."""
    ends: Mapping[int, End]
    """The last row of each lane."""
    restart: Restart | None = None
    """Set where the trail began anew, because its secret was lost: what was written before has no key any more."""


async def verify(database: Database, key: TrailKey, *, since: Mapping[int, End] | None = None) -> int:
    """Checks the trail and returns how many rows it has. `since`: only what follows these ends.

    Raises:
        Sealed: the trail's secret is not in memory.
        AuditBroken: something is wrong; the message names the first of it.
    """
    found = await examine(database, key, since=since)
    if found.faults:
        more = len(found.faults) - SHOWN
        listed = "; ".join(found.faults[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
        raise AuditBroken(f"The audit trail is not as it was written: {listed}")
    return found.rows


async def examine(database: Database, key: TrailKey, *, since: Mapping[int, End] | None = None) -> Findings:
    """Looks at the trail, and at the signatures if all of the trail is wanted. Raises: Sealed."""
    keys = keys_of(key)
    signatures = Signatures(database)
    if since is None:
        await signatures.load()  # first, because the trail may grow meanwhile
    outline = await database.read(outline_of)
    restart = await restart_of(database, key)
    check = _Check(database, keys, outline, restart, signatures.note)
    for lane in range(LANES):
        try:
            await check.lane(lane, (since or {}).get(lane) or End(lane=lane))
        except TypeError:
            check.faults.append(f"lane {lane}: {STRANGE}")
    check.strangers()
    if since is None:
        try:
            await check.beginning()
        except TypeError:
            check.faults.append(f"the trail of before there were lanes: {STRANGE}")
        check.faults += await signatures.missing()
    return Findings(faults=tuple(check.faults), rows=check.rows, ends=check.ends, restart=restart)


async def restart_of(database: Database, key: TrailKey) -> Restart | None:
    """The last time that the trail began anew under this key. Raises: Sealed."""
    return await database.read(partial(find_restart, keys=keys_of(key)))


class _Check:
    """One look at the trail, as it was when it began."""

    def __init__(
        self, database: Database, keys: TrailKeys, outline: Outline, restart: Restart | None, note: Note
    ) -> None:
        self._database = database
        self._keys = keys
        self._outline = outline
        self._restart = restart
        self._note = note
        self.faults: list[str] = []
        self.rows = 0
        self.ends: dict[int, End] = {}

    async def lane(self, lane: int, end: End) -> None:
        """The rows of a lane that follow `end`, and its head."""
        head, extent = self._outline.heads.get(lane), self._outline.extents.get(lane, NOTHING)
        last = extent.last if head is None else max(extent.last, head.number)
        lost, digest, is_all = self._lost(lane), GENESIS, end.number == 0
        async for row in rows_of(self._database, lane, after=end.number, last=last):
            if head is not None and row.number > head.number:
                self._fault(lane, f"row {row.number} was put in after the last one, {head.number}")
                break
            end = self._follow(end, row)
            if row.number <= lost:
                digest = digest_after(digest, row)
        if self._restart is not None and is_all and lost and digest != self._restart.lanes[lane].digest:
            self._fault(lane, f"rows up to {lost} are not as they were when the trail began anew")
        self.ends[lane] = end
        self._head(head, end)
        if extent.first < 0 or extent.numbered != extent.rows:
            self._fault(lane, "a row without a number was put in")

    def _follow(self, end: End, row: Row[Any]) -> End:
        """Checks the row that follows `end`. After a fault, the row's own hash counts, to find what else is wrong."""
        self.rows += 1
        self._note(row)
        lane, number = end.lane, end.number + 1
        if row.number != number:
            which = (
                f"row {number} is" if row.number == number + 1 else f"rows {number} to {row.number - 1} are"
            )
            self._fault(lane, f"{which} missing")
        elif row.previous_hash != end.hash or row.sequence <= end.sequence:
            self._fault(lane, f"row {number} does not follow the one before it")
        elif number > self._lost(lane) and not hmac.compare_digest(
            row.hash, row_hash(self._keys, end, content_of(row))
        ):
            before = f", or the sequence of row {end.number} was" if end.number else ""
            self._fault(lane, f"row {number} was changed or was not written by this service{before}")
        return End(lane=lane, number=row.number, sequence=row.sequence, hash=row.hash)

    def _lost(self, lane: int) -> int:
        """Rows up to this number were written under a secret that is lost."""
        return 0 if self._restart is None else self._restart.lost(lane)

    def _head(self, head: Row[Any] | None, end: End) -> None:
        if head is None:
            self._fault(end.lane, f"its head is missing; its last row is {end.number}")
        elif head.tag is None and self._has_begun:
            self._fault(end.lane, f"its head was set back; its last row is {end.number}")
        elif head.tag is not None and not is_ours(head, self._keys):
            self._fault(
                end.lane, f"its head was changed, or written with another key; its last row is {end.number}"
            )
        elif end.number < head.number:
            self._fault(end.lane, f"it ends at row {end.number}, and its head says {head.number}")
        elif end_of(head) != end:
            self._fault(end.lane, f"its head names another row {end.number}")

    @property
    def _has_begun(self) -> bool:
        """Whether anything of the trail is keyed."""
        rows = any(lane is not None for lane in self._outline.extents)
        return rows or any(head.tag is not None for head in self._outline.heads.values())

    def strangers(self) -> None:
        for lane in self._outline.extents:
            if lane is not None and lane not in range(LANES):
                self.faults.append(f"lane {lane}: there is no such lane")

    async def beginning(self) -> None:
        """The rows of before there were lanes, and the record of them."""
        end, expected = GENESIS, 1
        async for row in old_rows(self._database):
            self._note(row)
            good = old_hash(end, expected, content_of(row))
            if (row.sequence, row.previous_hash, row.hash, row.number) != (expected, end, good, None):
                self.faults.append(f"the trail of before there were lanes is broken at row {expected}")
                return
            end, expected = row.hash, expected + 1
        self.rows += expected - 1
        head, last = self._outline.heads.get(OLD_LANE), expected - 1
        if head is None or (self._has_begun and not is_ours(head, self._keys)):
            self.faults.append("the record of the rows of before there were lanes was changed or removed")
        elif (head.number, head.sequence, head.hash) != (last, last, end):
            self.faults.append(
                f"the trail of before there were lanes ends at row {last}, and another end was recorded"
            )

    def _fault(self, lane: int, what: str) -> None:
        self.faults.append(f"lane {lane}: {what}")
