"""When the secret of the trail is lost, an operator begins it anew. Whoever has no key can neither pretend that nor hide it."""

import pytest
from sqlalchemy import Connection

from strongroom.core.security.access import OPERATOR
from strongroom.core.security.audit import AuditBroken
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.storage.database import Database
from strongroom.core.transparency.checkpoint import Checkpoint
from strongroom.core.transparency.store import last_for_restart, load_checkpoints
from support.clock import ManualClock
from support.trails import CHECKPOINTS, LANE, LEDGER, TRAIL, Trail

pytestmark = pytest.mark.anyio

OTHER, THIRD = bytes(range(1, 33)), bytes(range(2, 34))
WHY = "the key was on a disk that is gone"


async def restart(trail: Trail, why: str = WHY) -> bool:
    def work(connection: Connection) -> bool:
        return trail.audit.restart(connection, OPERATOR, why, last_for_restart(connection, LEDGER))

    return await trail.database.write(work)


async def made(trail: Trail) -> list[Checkpoint]:
    found = await trail.database.read(
        lambda connection: load_checkpoints(connection, LEDGER, after=0, limit=99)
    )
    return [one.checkpoint for one in found]


@pytest.fixture
async def before(database: Database, clock: ManualClock) -> Trail:
    """Seven rows under the secret that is lost then; two checkpoints cover three rows each."""
    trail = Trail(database=database, clock=clock)
    for number in range(1, 8):
        await trail.record(str(number))
        if number % 3 == 0:
            await trail.checkpoints.make()
            clock.advance(60)
    return trail


@pytest.fixture
def lost(before: Trail) -> Trail:
    """With another secret, before the operator has done anything."""
    return Trail(database=before.database, clock=before.clock, key=TrailKey(OTHER))


@pytest.fixture
async def trail(lost: Trail) -> Trail:
    """Begun anew with row 8, and a row 9 after it, which a third checkpoint covers."""
    assert await restart(lost)
    await lost.record("9")
    await lost.checkpoints.make()
    lost.clock.advance(60)
    return lost


async def test_without_a_restart_nothing_is_written_and_all_of_it_is_a_finding(lost: Trail) -> None:
    with pytest.raises(AuditBroken):
        await lost.record("8")
    report = await lost.verify()
    assert {one.code for one in report.findings} == {"chain_broken", "checkpoint_forged"}
    assert (report.restart, report.notices) == (None, [])


async def test_the_trail_goes_on_and_says_what_cannot_be_verified(trail: Trail) -> None:
    report = await trail.verify()
    assert (report.findings, report.rows, report.checkpoints) == ([], 9, 3)
    (notice,) = report.notices
    assert notice.code == "trail_restarted"
    assert f"operator began the trail anew at 2027-01-15T08:02:00.000Z: {WHY}" in notice.detail
    assert "lane 0 up to row 7" in notice.detail
    assert "checkpoints up to 2" in notice.detail
    assert report.summary.startswith(
        "2 rows verified, and 7 compared with the restart; the last checkpoint is 3"
    )


async def test_checkpoints_that_were_kept_are_compared_also_if_their_key_is_lost(
    before: Trail, trail: Trail
) -> None:
    kept = await made(trail)
    assert [one.is_signed_by(before.checkpoints.public_key) for one in kept] == [True, True, False]
    assert await trail.codes(*kept) == set()
    proof = await trail.proofs.consistency(1, 3)
    assert (proof["earlier"]["checkpoint"], proof["later"]["checkpoint"]) == (1, 3)


async def test_a_restart_is_refused_by_a_trail_that_its_own_secret_wrote(trail: Trail) -> None:
    assert not await restart(trail)
    await trail.sql("UPDATE strongroom_audit_lane SET tag = NULL WHERE lane = 0")
    assert not await restart(trail)
    assert "chain_broken" in await trail.codes()


async def test_a_trail_that_nobody_has_begun_is_not_begun_anew(
    database: Database, clock: ManualClock
) -> None:
    trail = Trail(database=database, clock=clock)
    assert not await restart(trail)
    report = await trail.verify()
    assert (report.findings, report.rows, report.restart) == ([], 0, None)


async def test_it_may_begin_anew_twice(trail: Trail) -> None:
    third = Trail(database=trail.database, clock=trail.clock, key=TrailKey(THIRD))
    assert await restart(third, "lost again")
    await third.record("11")
    await third.checkpoints.make()
    report = await third.verify()
    assert (report.findings, report.rows) == ([], 11)
    assert "lost again" in report.notices[0].detail
    assert "lane 0 up to row 9" in report.notices[0].detail


TAMPERING = {
    "lost row changed": (
        "UPDATE strongroom_audit SET subject = 'x' WHERE number = 7",
        {"chain_broken", "rows_altered"},
    ),
    "covered lost row changed": (
        "UPDATE strongroom_audit SET subject = 'x' WHERE number = 2",
        {"chain_broken", "rows_altered"},
    ),
    "lost row removed": ("DELETE FROM strongroom_audit WHERE number = 2", {"chain_broken", "rows_missing"}),
    "last lost row removed": (
        "DELETE FROM strongroom_audit WHERE number = 7",
        {"chain_broken", "rows_missing"},
    ),
    "lost row's link changed": (
        "UPDATE strongroom_audit SET previous_hash = hash WHERE number = 2",
        {"chain_broken"},
    ),
    "row after it changed": (
        "UPDATE strongroom_audit SET subject = 'x' WHERE number = 9",
        {"chain_broken", "rows_altered"},
    ),
    "row after it removed": (
        "DELETE FROM strongroom_audit WHERE number = 9",
        {"chain_broken", "rows_missing"},
    ),
    "lost checkpoint changed": (
        "UPDATE strongroom_checkpoint SET at_ms = at_ms + 1 WHERE number = 1",
        {"checkpoint_chain"},
    ),
    "last lost checkpoint changed": (
        "UPDATE strongroom_checkpoint SET at_ms = at_ms + 1 WHERE number = 2",
        {"checkpoint_forged", "checkpoint_chain"},
    ),
    "lost checkpoint removed": (
        "DELETE FROM strongroom_checkpoint WHERE number = 2",
        {"checkpoint_missing"},
    ),
    "checkpoint after it changed": (
        "UPDATE strongroom_checkpoint SET signature = root WHERE number = 3",
        {"checkpoint_forged"},
    ),
}


@pytest.mark.parametrize("tampering", TAMPERING)
async def test_what_is_changed_afterwards_is_found(trail: Trail, tampering: str) -> None:
    statement, codes = TAMPERING[tampering]
    await trail.sql(statement)
    report = await trail.verify()
    assert {one.code for one in report.findings} == codes
    assert report.notices


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM strongroom_audit WHERE action = 'audit.restart'",
        "UPDATE strongroom_audit SET details = REPLACE(details, '7', '8') WHERE action = 'audit.restart'",
        "UPDATE strongroom_audit SET action = 'freeze' WHERE action = 'audit.restart'",
        "UPDATE strongroom_audit SET number = 99 WHERE action = 'audit.restart'",
        "UPDATE strongroom_audit SET details = '[]' WHERE action = 'audit.restart'",
    ],
)
async def test_who_hides_or_changes_the_restart_hides_nothing(trail: Trail, statement: str) -> None:
    await trail.sql(statement)
    report = await trail.verify()
    assert "chain_broken" in {one.code for one in report.findings}
    assert report.notices == []


async def test_a_thief_without_the_key_pretends_no_restart(before: Trail) -> None:
    """He does all that the service does, but with a secret that he made himself."""
    thief = Trail(database=before.database, clock=before.clock, key=TrailKey(THIRD))
    await before.sql("UPDATE strongroom_audit SET subject = 'forged' WHERE number = 7")
    assert await restart(thief)
    report = await before.verify()
    assert "chain_broken" in {one.code for one in report.findings}
    assert report.notices == []
    with pytest.raises(AuditBroken):
        await before.record("9")


async def test_a_row_of_a_restart_does_not_count_elsewhere(trail: Trail) -> None:
    """The true row, copied to the end of the lane, excuses nothing that was written after it."""
    await trail.sql(
        "INSERT INTO strongroom_audit (at_ms, principal, action, subject, details, previous_hash, hash, lane, number)"
        " SELECT at_ms, principal, action, subject, details, previous_hash, hash, lane, 10 FROM strongroom_audit"
        " WHERE action = 'audit.restart'"
    )
    report = await trail.verify()
    assert {one.code for one in report.findings} == {"chain_broken"}
    assert "lane 0 up to row 7" in report.notices[0].detail


async def test_checkpoints_that_were_lost_with_their_state_are_missed(before: Trail, lost: Trail) -> None:
    older = await before.dump(*CHECKPOINTS)
    await before.checkpoints.make()
    assert await restart(lost)
    await lost.restore(older)
    report = await lost.verify()
    assert "checkpoint_missing" in {one.code for one in report.findings}


async def test_what_was_altered_before_stays_told(before: Trail, lost: Trail) -> None:
    """A row that somebody put in after the end is taken over, and one that is missing stays missing."""
    dump = await before.dump(*TRAIL, *CHECKPOINTS)
    await before.sql("UPDATE strongroom_audit_lane SET number = 6 WHERE number = 7")
    assert await restart(lost)
    await lost.record("9")
    report = await lost.verify()
    assert report.findings == []
    assert f"somebody had changed lanes {LANE}" in report.notices[0].detail
    await before.restore(dump)
    await before.sql("DELETE FROM strongroom_audit WHERE number = 7")
    assert await restart(lost)
    await lost.record("9")
    report = await lost.verify()
    assert {one.code for one in report.findings} == {"chain_broken"}
    assert "row 7 is missing" in report.findings[0].detail


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_value_of_another_kind_stops_it(before: Trail, lost: Trail) -> None:
    await before.sql("UPDATE strongroom_audit SET hash = 'text' WHERE number = 4")
    with pytest.raises(AuditBroken, match="cannot begin anew"):
        await restart(lost)


async def test_a_kept_checkpoint_of_a_copy_that_is_newer_is_told_apart(before: Trail, lost: Trail) -> None:
    older = await before.dump(*TRAIL, *CHECKPOINTS)
    await before.checkpoints.make()
    newest = (await made(before))[-1]
    await before.restore(older)
    assert await restart(lost)
    (finding,) = (await lost.verify(newest)).findings
    assert finding.code == "checkpoint_forged"
    assert "on an older copy" in finding.detail
