"""Copies one database into another one, which is empty, and compares the two.

A copy that was interrupted, by whatever, goes on after the last rows that reached the target. The source must stay as it is
meanwhile: the comparison at the end reads it anew, and finds out if it did not.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.engine import URL

from strongroom.core.clock import Clock, SystemClock
from strongroom.core.errors import Conflict, NotFound, StrongroomError
from strongroom.core.revisions import Revisions
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import migrate
from strongroom.core.storage.schema import CORE, read_state, require_whole
from strongroom.core.storage.transfer import mark
from strongroom.core.storage.transfer.comparing import CopyDiffers, TableDigest, digest, require_equal
from strongroom.core.storage.transfer.connections import filling, run, snapshot
from strongroom.core.storage.transfer.rows import read_chunks, write_rows
from strongroom.core.storage.transfer.shapes import (
    Pair,
    next_number,
    pair,
    quoted,
    read_shapes,
    set_next_number,
)

LIVE_MS = 15_000
"""A process that has not reported itself for so long is gone."""

Progress = Callable[[str, str, int, int], None]
"""Is told of each step: `copy` or `compare`, the table, and how many of all its rows are done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What a copy has. `left_out` are tables of other programs, for which the target has no table."""

    tables: tuple[TableDigest, ...]
    left_out: tuple[str, ...]
    revisions: Mapping[str, str]


def silent(phase: str, table: str, done: int, total: int) -> None:
    """Progress that nobody sees."""
    del phase, table, done, total


@dataclass(frozen=True, slots=True, kw_only=True)
class Copying:
    """One copy of `source` into `target`. `is_used`: the service may go on, and the copy has what was there at its beginning."""

    source: URL
    target: URL
    components: Sequence[Revisions]
    is_used: bool = False
    progress: Progress = silent
    clock: Clock = field(default_factory=SystemClock)
    name: str | None = None
    """What the source is called in the target while the copy is not complete."""

    async def copy(self) -> Copied:
        """Copies and compares.

        Raises:
            NotFound: there is no such source, or it has no tables of ours.
            Conflict: the source is used, or the target is not empty.
            CopyDiffers: the two are not equal; the target is marked as incomplete.
            Unavailable: a database does not answer.
        """
        require_source(self.source)
        revisions = await run(self._revisions)
        positions = await run(self._begin)
        database = Database(self.target, pool_size=2)
        try:
            await migrate(database, self.components, copy_of=revisions)
        finally:
            await database.close()
        return await run(lambda: self._copy(revisions, positions))

    async def copy_once(self) -> Copied:
        """Copies, unless an earlier run did so to its end: then it compares, so that a command for several databases goes on.

        Raises: as `copy`.
        """
        try:
            return await self.copy()
        except Conflict as error:
            if error.instance_code != mark.NOT_EMPTY:
                raise
            try:
                return await self.compare()
            except StrongroomError:
                raise error from None

    async def compare(self) -> Copied:
        """Compares an existing copy with its source. Raises as `copy`."""
        require_source(self.source)
        require_source(self.target)
        return await run(self._compare_now)

    def _revisions(self) -> dict[str, str]:
        with snapshot(self.source) as source:
            require_whole(source)
            if not self.is_used:
                require_unused(source, self.clock.now_ms())
            return read_revisions(source, self.components)

    def _begin(self) -> mark.Positions | None:
        url = self.source
        name = self.name or f"{url.get_backend_name()} {url.host or ''}:{url.port or ''}/{url.database}"
        with filling(self.target) as target:
            return mark.begin(target, name)

    def _copy(self, revisions: Mapping[str, str], positions: mark.Positions | None) -> Copied:
        with filling(self.target) as target, ExitStack() as stack:
            source = stack.enter_context(snapshot(self.source))
            pairs, left_out = self._pairs(source, target)
            if positions is None or not (positions.keys or positions.done):
                _clear(target, pairs)
                positions = mark.Positions(keys={}, done=frozenset())
            for one in pairs:
                if one.name not in positions.done:
                    self._copy_table(source, target, one, positions.keys.get(one.name))
            if not self.is_used:
                source = stack.enter_context(snapshot(self.source))  # as it is now
                require_unused(source, self.clock.now_ms())
            found = self._compare(source, target, pairs)
            mark.end(target)
        return Copied(tables=found, left_out=left_out, revisions=revisions)

    def _copy_table(
        self, source: Connection, target: Connection, one: Pair, after: tuple[Any, ...] | None
    ) -> None:
        total = _count(source, one.name)
        done = 0 if after is None else _count(target, one.name)
        number = next_number(source, one.name)
        if number is not None:  # before the rows: on MySQL it ends the transaction of a table without a key
            set_next_number(target, one.name, number)
        for chunk in read_chunks(source, one.source, one, after):
            write_rows(target, one, chunk.rows)
            if one.key:  # a table without a key is written in one transaction
                mark.keep(target, one.name, chunk.last)
                target.commit()
            done += len(chunk.rows)
            self.progress("copy", one.name, done, total)
        mark.keep(target, one.name, None)
        target.commit()

    def _compare_now(self) -> Copied:
        with snapshot(self.source) as source, snapshot(self.target) as target:
            for side in (source, target):
                require_whole(side)
            revisions = read_revisions(source, self.components)
            if (other := read_revisions(target, self.components)) != revisions:
                raise CopyDiffers(
                    f"The copy has the schema {_shown(other)}, the original {_shown(revisions)}"
                )
            pairs, left_out = self._pairs(source, target)
            found = self._compare(source, target, pairs)
        return Copied(tables=found, left_out=left_out, revisions=revisions)

    def _pairs(self, source: Connection, target: Connection) -> tuple[list[Pair], tuple[str, ...]]:
        """The tables of both sides, and the names of those that only the source has.

        The versions are not among them: the migrations write them, and a copy that goes on needs them.
        """
        ours, theirs = read_shapes(source), read_shapes(target)
        for one in (CORE, *self.components):
            ours.pop(one.version_table, None)
        pairs = [pair(ours[name], theirs[name]) for name in sorted(ours) if name in theirs]
        return pairs, tuple(sorted(set(ours) - set(theirs)))

    def _compare(
        self, source: Connection, target: Connection, pairs: Sequence[Pair]
    ) -> tuple[TableDigest, ...]:
        ours, theirs = [], []
        for one in pairs:
            total, done = 2 * _count(source, one.name), 0

            def step(rows: int, name: str = one.name, total: int = total) -> None:
                nonlocal done
                done += rows
                self.progress("compare", name, done, max(done, total))

            ours.append(digest(source, one.source, one, step))
            theirs.append(digest(target, one.target, one, step))
        require_equal(ours, theirs)
        return tuple(ours)


def require_source(url: URL) -> None:
    """Raises: NotFound: there is no such SQLite file."""
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise NotFound(f"There is no database {url.database}")


def require_unused(connection: Connection, now_ms: int) -> None:
    """Raises: Conflict: a process of the service uses the database."""
    known = read_shapes(connection)
    is_used = False
    if tables.lease.name in known:
        query = text("SELECT COUNT(*) FROM strongroom_lease WHERE expires_at_ms > :now")
        is_used = bool(connection.scalar(query, {"now": now_ms}))
    if tables.replica.name in known:
        query = text("SELECT COUNT(*) FROM strongroom_replica WHERE seen_at_ms > :gone")
        is_used = is_used or bool(connection.scalar(query, {"gone": now_ms - LIVE_MS}))
    if is_used:
        raise Conflict(
            "The service uses the database: stop every process of it, and copy then. If one was killed, wait for"
            f" {LIVE_MS // 1000} seconds",
            code="database_in_use",
        )


def read_revisions(connection: Connection, components: Sequence[Revisions]) -> dict[str, str]:
    """The revision of each component that the database has.

    Raises:
        NotFound: it has no tables of ours.
        SchemaUnfit: it is newer than this version.
    """
    states = [read_state(connection, one) for one in (CORE, *components)]
    found = {state.component: state.current for state in states if state.current is not None}
    if not found:
        raise NotFound("The database has no tables of Strongroom: is it the right one?")
    return found


def _shown(revisions: Mapping[str, str]) -> str:
    return ", ".join(f"{revision} of {component}" for component, revision in sorted(revisions.items()))


def _clear(target: Connection, pairs: Sequence[Pair]) -> None:
    """Removes the rows that the migrations made."""
    for one in pairs:
        target.exec_driver_sql(f"DELETE FROM {quoted(target, one.name)}")  # noqa: S608 - a table's quoted name
    target.commit()


def _count(connection: Connection, name: str) -> int:
    query = text(f"SELECT COUNT(*) FROM {quoted(connection, name)}")  # noqa: S608 - as above
    return int(connection.scalar(query) or 0)
