"""Checkpoints are signed, chained, cover every committed row once, and contradict none before them."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection
from structlog.testing import capture_logs

from strongroom.core.announcements import Announcement
from strongroom.core.errors import Sealed
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.storage.database import Database
from strongroom.core.transparency import making
from strongroom.core.transparency.checkpoint import (
    NONE_BEFORE,
    Checkpoint,
    CheckpointsBroken,
    document_of,
    parse_checkpoint,
)
from strongroom.core.transparency.file import CheckpointFile, CheckpointFileUnusable, read_checkpoints
from strongroom.core.transparency.making import Checkpoints
from support.clock import START_MS, ManualClock
from support.trails import CHECKPOINTS, LANE, LEDGER, TRAIL, Trail
from support.webhooks.page import documented

pytestmark = pytest.mark.anyio


@pytest.fixture
def trail(database: Database, clock: ManualClock) -> Trail:
    return Trail(database=database, clock=clock)


async def test_a_checkpoint_is_signed_and_names_the_one_before(trail: Trail) -> None:
    await trail.record("a")
    await trail.record("b")
    with capture_logs() as logs:
        (first,) = await trail.checkpoints.make()
    assert (first.number, first.rows, first.batch_rows, first.at_ms) == (1, 2, 2, START_MS)
    assert first.previous == NONE_BEFORE
    assert [one for one in logs if one["event"] == "checkpoint"] == [
        {"event": "checkpoint", "log_level": "info", **document_of(first)}
    ]
    trail.clock.advance(60)
    await trail.record("c")
    (second,) = await trail.checkpoints.make()
    assert (second.number, second.rows, second.batch_rows) == (2, 3, 1)
    assert second.previous == first.hash
    for one in (first, second):
        assert one.is_signed_by(trail.checkpoints.public_key)
        assert parse_checkpoint(json.dumps(document_of(one))) == one
        assert not one.is_signed_by(bytes(31) + b"\x01")
    report = await trail.verify(first, second)
    assert (report.findings, report.rows, report.checkpoints, report.last) == ([], 3, 2, second)


async def test_one_is_made_when_there_are_new_rows_and_when_nothing_happens_for_an_hour(trail: Trail) -> None:
    async def numbers() -> int:
        await trail.checkpoints.make_due()
        return (await trail.verify()).checkpoints

    assert await numbers() == 1, "of an empty trail, so that somebody may keep it"
    assert await numbers() == 1
    await trail.record("a")
    assert await numbers() == 2
    trail.clock.advance(making.QUIET_MS / 1000 - 0.001)
    assert await numbers() == 2
    trail.clock.advance(0.001)
    assert await numbers() == 3
    assert (await trail.verify()).findings == []


async def test_on_demand_one_is_always_made(trail: Trail) -> None:
    (first,) = await trail.checkpoints.make()
    (second,) = await trail.checkpoints.make()
    assert (second.number, second.batch_rows, second.previous) == (2, 0, first.hash)
    assert (await trail.verify()).findings == []


async def test_many_new_rows_get_several_checkpoints(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "MAX_BATCH", 4)
    for number in range(9):
        await trail.record(str(number))
    made = await trail.checkpoints.make()
    assert [one.batch_rows for one in made] == [4, 4, 1]
    assert [one.rows for one in made] == [4, 8, 9]
    assert (await trail.verify()).findings == []


async def test_while_the_service_is_sealed_none_is_made(database: Database, clock: ManualClock) -> None:
    trail = Trail(database=database, clock=clock, key=TrailKey())
    await trail.checkpoints.make_due()
    with pytest.raises(Sealed):
        await trail.checkpoints.make()
    trail.key.open(bytes(32))
    assert len(await trail.checkpoints.make()) == 1


class Heard:
    """Announcements, as whoever tells them outside takes them."""

    def __init__(self, *, wanted: bool) -> None:
        self.wanted = wanted
        self.said: list[Announcement] = []

    def wants(self, _connection: Connection, *kinds: str) -> bool:
        assert kinds == ("audit.checkpoint",)
        return self.wanted

    def announce(self, _connection: Connection, announcements: Sequence[Announcement]) -> None:
        self.said += announcements


async def test_each_is_announced_where_somebody_wants_it(trail: Trail) -> None:
    heard, nobody = Heard(wanted=True), Heard(wanted=False)
    made = list[Checkpoint]()
    for announcer in (heard, nobody, heard):
        process = Checkpoints(LEDGER, trail.database, trail.key, trail.clock, announcer=announcer)
        made += await process.make()
    first, _, third = made
    assert [(one.kind, one.data, one.key) for one in heard.said] == [
        ("audit.checkpoint", document_of(first), "1"),
        ("audit.checkpoint", document_of(third), "3"),
    ]
    assert nobody.said == []
    assert {"ledger", *heard.said[0].data} == documented("audit.checkpoint")


async def test_processes_that_make_them_at_once_make_one_log(trail: Trail, replica: Database) -> None:
    other = Checkpoints(LEDGER, replica, trail.key, trail.clock)
    for number in range(4):
        await trail.record(str(number))
        made = await asyncio.gather(*(each.make() for each in [trail.checkpoints, other] * 2))
        assert len({one.number for part in made for one in part}) == 4
    report = await trail.verify()
    assert (report.findings, report.checkpoints) == ([], 16)


FORGERIES = {
    "signature": "UPDATE strongroom_checkpoint SET signature = previous",
    "time": "UPDATE strongroom_checkpoint SET at_ms = at_ms + 1",
    "removed": "DELETE FROM strongroom_checkpoint",
    "state removed": "DELETE FROM strongroom_checkpoint_state",
    "state's number": "UPDATE strongroom_checkpoint_state SET number = 0, peaks = ''",
    "state's subtrees": "UPDATE strongroom_checkpoint_state SET peaks = (SELECT batch_root FROM strongroom_checkpoint)",
    "state's positions": "UPDATE strongroom_checkpoint_state SET positions = REPLACE(positions, ',', ',1')",
    "state's last row": "UPDATE strongroom_checkpoint_state SET positions = REPLACE(positions, ',\"', ',\"00')",
    "positions that are none": "UPDATE strongroom_checkpoint_state SET positions = '{'",
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_nothing_is_signed_that_contradicts_the_last_one(trail: Trail, forgery: str) -> None:
    await trail.record("a")
    await trail.record("b")
    await trail.checkpoints.make()
    await trail.sql(FORGERIES[forgery])
    await trail.record("c")
    with pytest.raises(CheckpointsBroken):
        await trail.process().make()


async def test_a_trail_whose_end_was_cut_off_gets_no_checkpoint_however_it_grows(trail: Trail) -> None:
    await trail.record("a")
    old = await trail.dump(*TRAIL)
    await trail.record("b")
    await trail.checkpoints.make()
    await trail.restore(old)
    for _ in range(3):
        with pytest.raises(CheckpointsBroken, match="are gone"):
            await trail.process().make()
        await trail.record("c")


async def test_a_row_that_is_gone_before_it_is_covered_is_not_passed_over(trail: Trail) -> None:
    for subject in "abc":
        await trail.record(subject)
    await trail.sql("DELETE FROM strongroom_audit WHERE subject = 'b'")
    with pytest.raises(CheckpointsBroken, match=f"row {2} of lane {LANE} is missing"):
        await trail.checkpoints.make()


async def test_a_process_signs_no_second_history(trail: Trail) -> None:
    """Its last checkpoint tells it, also where all tables are of one older copy."""
    await trail.record("a")
    old = await trail.dump(*TRAIL, *CHECKPOINTS)
    await trail.record("b")
    (last,) = await trail.checkpoints.make()
    await trail.restore(old)
    await trail.record("c")
    with pytest.raises(CheckpointsBroken, match="1, which this process made, is not in the database"):
        await trail.checkpoints.make()
    (other,) = await trail.process().make()
    assert other.number == last.number
    with pytest.raises(CheckpointsBroken, match="this process made"):
        await trail.checkpoints.make()


def text(path: Path) -> str:
    return path.read_text()


def write(path: Path, content: str) -> None:
    path.write_text(content)


class TestFile:
    """The file that an operator keeps elsewhere."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "checkpoints.jsonl"

    async def test_it_gets_every_checkpoint_once(self, trail: Trail, path: Path) -> None:
        made = list(await trail.checkpoints.make())
        process = trail.process(CheckpointFile(path))
        made += await process.make()
        made += await trail.checkpoints.make()  # by a process without the file
        await process.make_due()
        made += await trail.process(CheckpointFile(path)).make()
        assert read_checkpoints(path) == made
        assert text(path).count("\n") == 4

    async def test_a_line_that_was_cut_off_is_written_again(self, trail: Trail, path: Path) -> None:
        made = list(await trail.process(CheckpointFile(path)).make())
        made += await trail.process(CheckpointFile(path)).make()
        write(path, text(path)[:-20])
        made += await trail.process(CheckpointFile(path)).make()
        assert read_checkpoints(path) == made

    async def test_an_older_database_is_not_signed(self, trail: Trail, path: Path) -> None:
        old = await trail.dump(*CHECKPOINTS)
        await trail.process(CheckpointFile(path)).make()
        await trail.restore(old)
        await trail.record("other")
        with pytest.raises(CheckpointsBroken, match="1, which the file has, is not in the database"):
            await trail.process(CheckpointFile(path)).make()
        await trail.process().make()
        with pytest.raises(CheckpointsBroken, match="the file has"):
            await trail.process(CheckpointFile(path)).make_due()

    async def test_a_checkpoint_of_another_ledger_says_nothing(self, trail: Trail, path: Path) -> None:
        other = Checkpoint(
            ledger="other",
            number=9,
            at_ms=1,
            rows=1,
            batch_rows=1,
            batch_root=bytes(32),
            root=bytes(32),
            previous=bytes(32),
            signature=bytes(64),
        )
        write(path, json.dumps(document_of(other)) + "\n")
        (made,) = await trail.process(CheckpointFile(path)).make()
        assert read_checkpoints(path) == [other, made]

    async def test_a_file_that_cannot_be_used_is_told(self, trail: Trail, path: Path) -> None:
        with pytest.raises(CheckpointFileUnusable, match=rf"{path.parent} cannot be used"):
            await trail.process(CheckpointFile(path.parent)).make()

    async def test_a_file_of_something_else_is_told(self, trail: Trail, path: Path) -> None:
        write(path, "a shopping list\n")
        with pytest.raises(CheckpointFileUnusable, match="has no checkpoint in it"):
            await trail.process(CheckpointFile(path)).make()
        assert text(path) == "a shopping list\n"
