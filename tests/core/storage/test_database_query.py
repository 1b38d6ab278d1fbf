"""One SELECT by the quick way, on each engine."""

import asyncio
import random

import pytest
from sqlalchemy import Integer, or_, select, text

from core.accounts import account, create_accounts
from core.storage.test_mysql import kill_connections
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import ConnectionSevered, DatabaseRefused, DatabaseUnusable
from strongroom.core.storage.statements import Statement, arg
from support.mariadb import MariaDB, running_mariadb

pytestmark = pytest.mark.anyio
BALANCES = Statement(text("SELECT name, balance_raw FROM account ORDER BY name"))
ONE = Statement(text("SELECT 1"))
SAME = Statement(select(arg("number", Integer())), "number")
NAMED = Statement(
    select(account.c.name).where(or_(account.c.name == arg("name"), account.c.name == arg("other"))),
    "name",
    "other",
)


async def test_it_sees_what_is_committed(database: Database) -> None:
    await create_accounts(database, "a", "b")
    assert [row[0] for row in await database.query(BALANCES)] == ["a", "b"]
    found = await database.query(NAMED, "b", "x' OR '1'='1")
    assert list(found) == [("b",)]
    await create_accounts(database, "c")
    assert len(await database.query(BALANCES)) == 3


async def test_more_questions_than_connections_all_get_their_answer(database: Database) -> None:
    answers = await asyncio.gather(*(database.query(SAME, number) for number in range(200)))
    assert [int(rows[0][0]) for rows in answers] == list(range(200))


async def test_cancelled_callers_end_and_leave_the_connections_sound(database: Database) -> None:
    await create_accounts(database, "a")
    seeded = random.Random(7)
    went_on = 0

    async def ask() -> None:
        nonlocal went_on
        await database.query(BALANCES)
        went_on += asyncio.current_task().cancelling()  # type: ignore[union-attr]  # it runs in one

    async def cancelled_soon() -> None:
        task = asyncio.create_task(ask())
        for _ in range(seeded.randrange(30)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    await asyncio.gather(*(cancelled_soon() for _ in range(60)))
    assert went_on == 0
    answers = await asyncio.gather(*(database.query(SAME, number) for number in range(40)))
    assert [int(rows[0][0]) for rows in answers] == list(range(40))


async def test_connections_that_the_server_closed_are_replaced(mariadb: MariaDB) -> None:
    database = Database(mariadb.new_database())
    await asyncio.gather(*(database.query(Statement(text("SELECT SLEEP(0.05)"))) for _ in range(6)))
    kill_connections(database)
    assert list(await database.query(ONE)) == [(1,)]
    await database.close()


async def test_a_question_that_makes_no_sense_fails_as_such(mariadb: MariaDB) -> None:
    database = Database(mariadb.new_database())
    with pytest.raises(DatabaseRefused):
        await database.query(Statement(text("SELECT FROM FROM")))
    with pytest.raises(DatabaseUnusable):
        await database.query(Statement(text("SELECT nothing FROM nowhere")))
    assert list(await database.query(ONE)) == [(1,)]
    await database.close()


async def test_an_outage_of_the_server_is_reported_and_ends() -> None:
    with running_mariadb() as server:
        database = Database(server.new_database())
        assert list(await database.query(ONE)) == [(1,)]
        server.kill()
        with pytest.raises(ConnectionSevered):
            await database.query(ONE)
        server.start()
        assert list(await database.query(ONE)) == [(1,)]
        await database.close()
