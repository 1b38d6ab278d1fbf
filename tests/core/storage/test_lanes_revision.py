"""The audit trail of before there were lanes stays, is verified as before, and its end is recorded under the key."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection, select
from sqlalchemy.engine import URL

from strongroom.core.security.access import OPERATOR
from strongroom.core.security.audit import Audit, AuditBroken
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.trail.restart import LastCheckpoint
from strongroom.core.security.trail.rows import GENESIS, Content, old_hash
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import migrate
from strongroom.core.transparency.verification import examine
from support.clock import ManualClock
from support.old_database import append_old_rows, write_old_core
from support.trail import Elsewhere, open_trail, record, verify

pytestmark = pytest.mark.anyio


@pytest.fixture
async def old(database_url: URL) -> AsyncIterator[Database]:
    database = Database(database_url)
    await write_old_core(database, "core_0013")
    rows = [("token:ann", "sign", f"a{number}") for number in (1, 2, 3)]
    await database.write(lambda connection: append_old_rows(connection, *rows))
    yield database
    await database.close()


@pytest.fixture
def audit(clock: ManualClock) -> Audit:
    return Audit(clock, open_trail())


async def test_the_rows_stay_and_the_next_ones_follow(old: Database, audit: Audit) -> None:
    await migrate(old, [])
    assert await verify(old) == 3
    await record(old, audit, "new", "newer")
    assert await verify(old) == 5
    rows = await old.fetch_all(select(tables.audit).order_by(tables.audit.c.sequence))
    assert [row.subject for row in rows] == ["a1", "a2", "a3", "new", "newer"]
    assert [row.number for row in rows] == [None, None, None, 1, 2]
    record_of_before = await old.fetch_one(select(tables.audit_lane).where(tables.audit_lane.c.lane == -1))
    assert record_of_before is not None
    assert (record_of_before.number, record_of_before.hash) == (3, rows[2].hash)
    assert record_of_before.tag is not None


@pytest.mark.parametrize("is_begun", [False, True])
@pytest.mark.parametrize(
    "forgery",
    [
        "UPDATE strongroom_audit SET subject = 'x' WHERE sequence = 2",
        "DELETE FROM strongroom_audit WHERE sequence = 3",
        "DELETE FROM strongroom_audit WHERE sequence = 1",
        "DELETE FROM strongroom_audit WHERE sequence <= 3",
        "UPDATE strongroom_audit SET number = 5 WHERE sequence = 2",
        "UPDATE strongroom_audit SET sequence = 77 WHERE sequence = 3",
    ],
)
async def test_a_forgery_of_an_old_row_is_found(
    old: Database, audit: Audit, elsewhere: Elsewhere, forgery: str, *, is_begun: bool
) -> None:
    await migrate(old, [])
    if is_begun:
        await record(old, audit, "new")
    elsewhere(forgery)
    with pytest.raises(AuditBroken, match="of before there were lanes"):
        await verify(old)


async def test_an_old_trail_that_was_written_anew_is_found_by_its_record(old: Database, audit: Audit) -> None:
    """Without a key anybody can write a chain of hashes, but not the row that has its end."""
    await migrate(old, [])
    await record(old, audit, "new")

    def rewrite(connection: Connection) -> None:
        end = GENESIS
        for sequence in (1, 2, 3):
            said = Content(at_ms=7, principal="token:eve", action="sign", subject="x", details="{}")
            own = old_hash(end, sequence, said)
            change = tables.audit.update().where(tables.audit.c.sequence == sequence)
            connection.execute(change.values(principal="token:eve", subject="x", previous_hash=end, hash=own))
            end = own

    await old.write(rewrite)
    with pytest.raises(AuditBroken, match="ends at row 3, and another end was recorded"):
        await verify(old)
    (last,) = await old.fetch_all(select(tables.audit.c.hash).where(tables.audit.c.sequence == 3))
    heads = tables.audit_lane
    await old.write(
        lambda connection: connection.execute(heads.update().where(heads.c.lane == -1).values(hash=last.hash))
    )
    with pytest.raises(AuditBroken, match="was changed or removed"):
        await verify(old)


async def test_after_the_secret_was_lost_the_old_rows_still_have_their_record(
    old: Database, audit: Audit, clock: ManualClock, elsewhere: Elsewhere
) -> None:
    await migrate(old, [])
    await record(old, audit, "new")
    key = TrailKey(bytes(32))
    anew = Audit(clock, key)
    assert await old.write(lambda connection: anew.restart(connection, OPERATOR, "lost", LastCheckpoint()))
    await record(old, anew, "newer")
    found = await examine(old, key)
    assert (found.faults, found.rows) == ((), 6)
    assert found.restart is not None
    assert (found.restart.lost(-1), found.restart.rows) == (3, 4)
    elsewhere("UPDATE strongroom_audit SET subject = 'x' WHERE sequence = 2")
    with pytest.raises(AuditBroken, match="before there were lanes is broken at row 2"):
        await verify(old, key)
