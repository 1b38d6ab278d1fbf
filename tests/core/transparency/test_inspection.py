"""Whatever somebody without the key does to the trail or its checkpoints is found, and named."""

from collections.abc import Iterable
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strongroom.core.storage.database import Database
from strongroom.core.transparency.checkpoint import Checkpoint
from strongroom.core.transparency.inspection import Finding, Inspection
from strongroom.core.transparency.verification import verify
from support.clock import ManualClock
from support.trails import CHECKPOINTS, LANE, LEDGER, TRAIL, Trail

pytestmark = pytest.mark.anyio


@pytest.fixture
async def trail(database: Database, clock: ManualClock) -> Trail:
    """Nine rows, three checkpoints of three rows each, and a tenth row that no checkpoint has yet. Their numbers are 1 to 10."""
    trail = Trail(database=database, clock=clock)
    for number in range(1, 10):
        await trail.record(str(number))
        if number == 7:
            trail.older = await trail.dump(*TRAIL)
        if number % 3 == 0:
            await trail.checkpoints.make()
            clock.advance(60)
    await trail.record("10")
    return trail


async def last_of(trail: Trail) -> Checkpoint:
    report = await trail.verify()
    assert report.last is not None
    return report.last


async def test_a_whole_trail_has_no_findings(trail: Trail) -> None:
    report = await trail.verify(await last_of(trail))
    assert (report.findings, report.rows, report.checkpoints) == ([], 10, 3)


ONE = "strongroom_checkpoint SET"
FORGERIES = {
    "row changed": ("UPDATE strongroom_audit SET details = '{}x' WHERE sequence = 5", {"chain_broken", "rows_altered"}),
    "row's time changed": ("UPDATE strongroom_audit SET at_ms = -1 WHERE sequence = 5", {"chain_broken", "rows_altered"}),
    "row changed after the last": ("UPDATE strongroom_audit SET subject = 'x' WHERE sequence = 10", {"chain_broken"}),
    "row removed": ("DELETE FROM strongroom_audit WHERE sequence = 5", {"chain_broken", "rows_missing"}),
    "end cut off": ("DELETE FROM strongroom_audit WHERE sequence > 7", {"chain_broken", "rows_missing"}),
    "trail wiped": ("DELETE FROM strongroom_audit", {"chain_broken", "rows_missing"}),
    "checkpoint changed": (f"UPDATE {ONE} row_count = row_count + 1 WHERE number = 2", {"checkpoint_forged", "checkpoint_chain"}),
    "checkpoint's time changed": (f"UPDATE {ONE} at_ms = at_ms - 1 WHERE number = 2", {"checkpoint_forged", "checkpoint_chain"}),
    "checkpoint's time of no year": (f"UPDATE {ONE} at_ms = -1 WHERE number = 2", {"checkpoint_forged", "checkpoint_chain"}),
    "checkpoint's time of another age": (f"UPDATE {ONE} at_ms = 9007199254740991000 WHERE number = 2", {"checkpoint_forged", "checkpoint_chain"}),
    "last signature changed": (f"UPDATE {ONE} signature = root WHERE number = 3", {"checkpoint_forged"}),
    "last root changed": (f"UPDATE {ONE} root = batch_root WHERE number = 3", {"checkpoint_forged", "checkpoint_chain", "checkpoint_state"}),
    "batch's root changed": (f"UPDATE {ONE} batch_root = root WHERE number = 3", {"checkpoint_forged", "checkpoint_chain", "rows_altered"}),
    "name of the one before changed": (f"UPDATE {ONE} previous = root WHERE number = 3", {"checkpoint_forged", "checkpoint_chain"}),
    "ranges changed": (f"UPDATE {ONE} ranges = '[[{LANE},3,5]]' WHERE number = 2", {"checkpoint_chain", "rows_altered"}),
    "ranges that are none": (f"UPDATE {ONE} ranges = '[[{LANE},3' WHERE number = 2", {"checkpoint_chain"}),
    "ranges that go back": (f"UPDATE {ONE} ranges = '[[{LANE},6,3]]' WHERE number = 2", {"checkpoint_chain"}),
    "checkpoint removed": ("DELETE FROM strongroom_checkpoint WHERE number = 2", {"checkpoint_missing"}),
    "last checkpoint removed": ("DELETE FROM strongroom_checkpoint WHERE number = 3", {"checkpoint_missing"}),
    "checkpoints wiped": ("DELETE FROM strongroom_checkpoint", {"checkpoint_missing"}),
    "state removed": ("DELETE FROM strongroom_checkpoint_state", {"checkpoint_state"}),
    "state set back": ("UPDATE strongroom_checkpoint_state SET number = 2, peaks = (SELECT root FROM strongroom_checkpoint WHERE number = 2)", {"checkpoint_state"}),
    "state's positions": ("UPDATE strongroom_checkpoint_state SET positions = REPLACE(positions, ',9', ',8')", {"checkpoint_state"}),
    "state's last row": ("UPDATE strongroom_checkpoint_state SET positions = REPLACE(positions, '9,\"', '9,\"00')", {"checkpoint_state"}),
}  # fmt: skip


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forgery_is_found_and_named(trail: Trail, forgery: str) -> None:
    statement, codes = FORGERIES[forgery]
    await trail.sql(statement)
    assert await trail.codes() >= codes
    chain = {"chain_broken"} if "strongroom_audit " in f"{statement} " else set()
    assert chain <= codes, "the chains alone find what happens to rows"


async def test_rows_that_are_gone_are_named_with_the_checkpoint_that_has_them(trail: Trail) -> None:
    await trail.sql("DELETE FROM strongroom_audit WHERE sequence IN (2, 5, 6)")
    details = [one.detail for one in (await trail.verify()).findings if one.code == "rows_missing"]
    assert details == [
        f"checkpoint 1 of 2027-01-15T08:00:00.000Z covers rows that are gone: lane {LANE}: 2",
        f"checkpoint 2 of 2027-01-15T08:01:00.000Z covers rows that are gone: lane {LANE}: 5 to 6",
    ]


async def test_missing_checkpoints_are_named(trail: Trail) -> None:
    await trail.sql("DELETE FROM strongroom_checkpoint WHERE number < 3")
    details = [one.detail for one in (await trail.verify()).findings]
    assert "checkpoint 1 to 2 is gone" in details


async def test_a_trail_that_was_cut_and_goes_on_is_found(trail: Trail) -> None:
    """Its chain is whole again: the service itself wrote the new rows."""
    await trail.restore(trail.older)
    for subject in "xyz":
        await trail.record(subject)
    assert await trail.codes() == {"rows_altered"}


@pytest.mark.parametrize("tables", [TRAIL, CHECKPOINTS, TRAIL + CHECKPOINTS])
async def test_an_older_copy_is_found(trail: Trail, tables: tuple[str, ...]) -> None:
    """All tables of one copy together are found with a checkpoint that was kept elsewhere."""
    old = await trail.dump(*tables)
    await trail.record("later")
    (kept,) = await trail.checkpoints.make()
    await trail.restore(old)
    assert await trail.codes() == ({"rows_missing"} if tables == TRAIL else set())
    assert await trail.codes(kept) == ({"rows_missing"} if tables == TRAIL else {"checkpoint_missing"})


async def test_a_trail_that_was_rewritten_with_the_key_is_found(trail: Trail) -> None:
    """With what somebody keeps elsewhere: everything that is left in the database agrees with itself."""
    old = await trail.dump(*TRAIL, *CHECKPOINTS)
    await trail.record("later")
    (kept,) = await trail.checkpoints.make()
    await trail.restore(old)
    await trail.record("another history")
    trail.clock.advance(1)
    await trail.process().make()
    assert await trail.codes() == set()
    assert await trail.codes(kept) == {"checkpoint_differs"}


async def test_what_was_given_must_be_signed_and_of_this_ledger(trail: Trail) -> None:
    last = await last_of(trail)
    forged = Checkpoint(**{name: getattr(last, name) for name in last.__slots__} | {"rows": 99})
    assert await trail.codes(forged) == {"checkpoint_forged"}
    other = Checkpoint(**{name: getattr(last, name) for name in last.__slots__} | {"ledger": "other"})
    assert await trail.codes(other) == set()


async def test_further_checks_add_their_findings(trail: Trail) -> None:
    async def check() -> Iterable[Finding]:
        return [Finding(code="token_unknown", detail="x")]

    report = await trail.verify(checks=(check, check))
    assert [one.code for one in report.findings] == ["token_unknown", "token_unknown"]


async def test_progress_tells_how_many_rows_are_done(trail: Trail) -> None:
    told = list[tuple[int, int]]()
    await trail.inspection().run(progress=lambda done, total: told.append((done, total)))
    assert told == [(3, 9), (6, 9), (9, 9)]


class Slow(Inspection):
    """While it looks, the service makes checkpoints."""

    trail: Trail

    async def _step(self, walk: Any, stored: Any) -> None:
        await super()._step(walk, stored)
        await self.trail.record("meanwhile")
        await self.trail.checkpoints.make()


async def test_checkpoints_that_are_made_meanwhile_are_no_findings(trail: Trail) -> None:
    slow = Slow(
        LEDGER, trail.database, trail.checkpoints.public_key, partial(verify, trail.database, trail.key)
    )
    slow.trail = trail
    report = await slow.run()
    assert (report.findings, report.checkpoints) == ([], 3)
    report = await trail.verify()
    assert (report.findings, report.checkpoints) == ([], 6)


COLUMNS = ("at_ms", "principal", "subject", "details", "previous_hash", "hash")
VALUES = {"at_ms": "17", "previous_hash": "'x'", "hash": "'x'"}
changes = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.integers(1, 10), st.sampled_from(COLUMNS)),
        st.tuples(st.just("remove"), st.integers(1, 10), st.just("")),
        st.tuples(st.just("cut"), st.integers(0, 9), st.just("")),
        st.tuples(st.just("swap"), st.integers(1, 9), st.just("")),
    ),
    min_size=1,
    max_size=3,
)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes)
async def test_no_tampering_goes_unseen(trail: Trail, made: list[tuple[str, int, str]]) -> None:
    """Nor does putting things back: then nothing is found any more."""
    whole = await trail.dump(*TRAIL, *CHECKPOINTS)
    for kind, row, column in made:
        await trail.sql(*_statements(kind, row, column))
    changed = await trail.dump(*TRAIL, *CHECKPOINTS) != whole
    codes = await trail.codes()
    assert bool(codes) is changed
    await trail.restore(whole)
    assert await trail.codes() == set()


def _statements(kind: str, row: int, column: str) -> list[str]:
    update = partial("UPDATE strongroom_audit SET sequence = {} WHERE sequence = {}".format)
    if kind == "change":
        value = VALUES.get(column, f"{column} || 'x'")
        return [f"UPDATE strongroom_audit SET {column} = {value} WHERE sequence = {row}"]  # noqa: S608
    if kind == "remove":
        return [f"DELETE FROM strongroom_audit WHERE sequence = {row}"]  # noqa: S608
    if kind == "cut":
        return [f"DELETE FROM strongroom_audit WHERE sequence > {row}"]  # noqa: S608
    return [update(99, row), update(row, row + 1), update(row + 1, 99)]
