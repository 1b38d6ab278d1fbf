"""Whoever removes what says that rows were tagged before has theirs not tagged."""

import asyncio

import pytest
from sqlalchemy import Connection, delete, select, update

from strongroom.core.guard import tables as guard_tables
from strongroom.core.guard.rows.binding import tag_existing
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.audit import Audit
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from strongroom.core.transparency.making import Checkpoints
from strongroom.core.transparency.tables import SIGNS, checkpoint, checkpoint_state
from support.clock import ManualClock, SeededEntropy
from support.tokens import TokenHouse
from support.trail import open_trail

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("left", ["policy.state", "checkpoint", "state of checkpoints"])
async def test_the_record_alone_removed_is_no_way_to_have_rows_tagged(
    database: Database, clock: ManualClock, entropy: SeededEntropy, left: str
) -> None:
    house, audit = TokenHouse(database, clock, entropy), Audit(clock, open_trail())
    await tag_existing(database, audit)
    new = await house.tokens.create(OPERATOR, "ci", ["atto:send"])
    await Checkpoints("toy", database, audit.key, clock).make()

    def alter(connection: Connection) -> None:
        trail = tables.audit.c
        gone = {"rows.bind", "token.create"} | ({"policy.state"} if left != "policy.state" else set())
        connection.execute(delete(tables.audit).where(trail.action.in_(gone)))
        for table in (tables.token, guard_tables.guard, guard_tables.approval):
            connection.execute(update(table).values(tag=None, sequence=None))
        if left != "checkpoint":
            connection.execute(delete(checkpoint))
        if left != "state of checkpoints":
            connection.execute(update(checkpoint_state).values(number=0, positions="[]", peaks=b""))

    await database.write(alter)
    await tag_existing(database, audit, SIGNS)
    assert await house.refusal(new.secret) == "The API token is not valid"


async def test_of_several_processes_that_start_at_once_one_tags(
    database: Database, replica: Database, clock: ManualClock
) -> None:
    audit = Audit(clock, open_trail())
    await asyncio.gather(*(tag_existing(each, audit) for each in [database, replica] * 3))
    rows = await database.fetch_all(select(tables.audit.c.action).order_by(tables.audit.c.sequence))
    assert [row.action for row in rows] == ["rows.bind", "policy.state"]
