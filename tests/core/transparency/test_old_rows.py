"""The rows of before there were lanes are covered by checkpoints, and counted when the trail begins anew, as any others."""

import json
from collections.abc import AsyncIterator

import pytest
from sqlalchemy.engine import URL

from strongroom.core.security.access import OPERATOR
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.trail import reading, restart
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import migrate
from strongroom.core.transparency import rows
from strongroom.core.transparency.checkpoint import CheckpointsBroken
from strongroom.core.transparency.store import last_for_restart
from support.clock import ManualClock
from support.old_database import append_old_rows, write_old_core
from support.trails import LANE, LEDGER, Trail

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True, params=[1, 2, 3, 1000])
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many rows are read at once."""
    for reader in (reading, restart, rows):
        monkeypatch.setattr(reader, "CHUNK", request.param)


@pytest.fixture
async def trail(database_url: URL, clock: ManualClock) -> AsyncIterator[Trail]:
    """Three rows of before, and two rows of a lane, which one checkpoint covers."""
    database = Database(database_url)
    await write_old_core(database, "core_0013")
    old = [("token:ann", "sign", f"a{number}") for number in (1, 2, 3)]
    await database.write(lambda connection: append_old_rows(connection, *old))
    await migrate(database, [])
    trail = Trail(database=database, clock=clock)
    await trail.record("new")
    await trail.record("newer")
    await trail.checkpoints.make()
    yield trail
    await database.close()


async def test_a_checkpoint_covers_them(trail: Trail) -> None:
    report = await trail.verify()
    assert (report.findings, report.rows, report.checkpoints) == ([], 5, 1)
    assert report.last is not None
    assert (report.last.rows, report.last.batch_rows) == (5, 5)
    await trail.record("newest")
    (second,) = await trail.process().make()
    assert (second.rows, second.batch_rows) == (6, 1)
    assert (await trail.verify()).findings == []


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("UPDATE strongroom_audit SET subject = 'x' WHERE sequence = 2", "rows_altered"),
        ("DELETE FROM strongroom_audit WHERE sequence = 2", "rows_missing"),
        ("DELETE FROM strongroom_audit WHERE sequence = 3", "rows_missing"),
    ],
)
async def test_what_happens_to_them_is_found_by_the_checkpoint_too(
    trail: Trail, statement: str, code: str
) -> None:
    await trail.sql(statement)
    assert await trail.codes() == {"chain_broken", code}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE strongroom_audit SET subject = 'x' WHERE sequence = 3",
        "DELETE FROM strongroom_audit WHERE sequence = 3",
        "UPDATE strongroom_audit_lane SET number = 2 WHERE lane = -1",
    ],
)
async def test_nothing_is_signed_once_their_end_was_changed(trail: Trail, statement: str) -> None:
    await trail.sql(statement)
    with pytest.raises(CheckpointsBroken):
        await trail.process().make()


async def test_a_restart_measures_all_of_them(trail: Trail) -> None:
    anew = Trail(database=trail.database, clock=trail.clock, key=TrailKey(bytes(range(1, 33))))
    assert await anew.database.write(
        lambda connection: anew.audit.restart(
            connection, OPERATOR, "lost", last_for_restart(connection, LEDGER)
        )
    )
    report = await anew.verify()
    assert (report.findings, report.rows) == ([], 6)
    assert report.restart is not None
    lanes = {lane: (one.end.number, one.end.sequence, one.fits) for lane, one in report.restart.lanes.items()}
    assert lanes == {-1: (3, 3, True), LANE: (2, 5, True)}
    assert (report.restart.rows, report.restart.lost(-1), report.restart.lost(7)) == (5, 3, 0)
    (notice,) = report.notices
    assert f"before (the rows of before there were lanes, lane {LANE} up to row 2)" in notice.detail
    assert "somebody had changed" not in notice.detail
    (row,) = await anew.database.read(
        lambda connection: connection.exec_driver_sql(
            "SELECT details FROM strongroom_audit WHERE action = 'audit.restart'"
        ).all()
    )
    assert [lane[:3] for lane in json.loads(row.details)["lanes"]] == [[-1, 3, 3], [LANE, 2, 5]]
    await trail.sql("UPDATE strongroom_audit SET subject = 'x' WHERE sequence = 4")
    assert "chain_broken" in await anew.codes()
