"""Statements of a unit of work that run on the driver's own cursor: the same promises as through SQLAlchemy."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, text

from core.accounts import account, add, balances, create_accounts
from core.storage.test_mysql import kill_connections
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database, locking
from strongroom.core.storage.errors import (
    ConnectionSevered,
    DatabaseRefused,
    DatabaseUnusable,
    Duplicate,
    UnfitValue,
)
from strongroom.core.storage.mysql import MysqlEngine
from strongroom.core.storage.numbers import AWAY_NUMBERS, PASSING_NUMBERS, UNUSABLE_NUMBERS, WAITED
from strongroom.core.storage.statements import (
    Statement,
    arg,
    execute,
    insert_numbered,
    insert_of,
    select_value,
)
from support.mariadb import MariaDB

pytestmark = pytest.mark.anyio
POOL = 4
_columns = account.c
_HELD = Statement(locking(select(_columns.balance_raw).where(_columns.name == arg("name"))), "name")
_SET = Statement(
    account.update().where(_columns.name == arg("name")).values(balance_raw=arg("balance_raw")),
    "balance_raw",
    "name",
)
LOCK = insert_of(tables.lock)
NUMBERED = insert_of(tables.outbox)
OWN_NUMBER = Statement(select(func.connection_id()))


def earn(connection: Connection, name: str, amount_raw: int) -> None:
    """`add`, on the driver."""
    balance_raw: Any = select_value(connection, _HELD, name)
    execute(connection, _SET, balance_raw + amount_raw, name)


def fail(connection: Connection, number: int) -> None:
    """The server says so, to a statement on the driver."""
    execute(connection, Statement(text(f"SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {number}")))


@pytest.fixture
async def server(mariadb: MariaDB) -> AsyncIterator[Database]:
    database = Database(mariadb.new_database(), pool_size=POOL)
    await create_accounts(database, "a", "b")
    yield database
    await database.close()


async def test_a_unit_of_nothing_else_is_committed_as_a_whole_or_not_at_all(server: Database) -> None:
    await server.write(lambda connection: earn(connection, "a", 2))
    assert await balances(server) == {"a": 2, "b": 0}

    def work(connection: Connection) -> None:
        earn(connection, "a", 1)
        add(connection, "b", 1)
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        await server.write(work)
    assert await balances(server) == {"a": 2, "b": 0}
    await server.write(lambda connection: earn(connection, "a", 1))
    assert await balances(server) == {"a": 3, "b": 0}


async def test_two_units_at_once_lose_no_update(server: Database) -> None:
    await asyncio.gather(*(server.write(lambda connection: earn(connection, "a", 1)) for _ in range(40)))
    assert await balances(server) == {"a": 40, "b": 0}


async def test_after_one_broken_connection_all_of_the_pool_are_replaced(server: Database) -> None:
    runs = 0
    together = Statement(text("SELECT SLEEP(0.1)"))  # so that each unit opens a connection
    await asyncio.gather(
        *(server.write(lambda connection: execute(connection, together)) for _ in range(POOL))
    )

    def work(connection: Connection) -> None:
        nonlocal runs
        runs += 1
        earn(connection, "a", 1)
        if runs == 1:
            kill_connections(server)
        earn(connection, "b", 1)

    await server.write(work)
    assert runs == 2
    assert await balances(server) == {"a": 1, "b": 1}


async def test_a_unit_whose_connection_always_breaks_leaves_nothing(server: Database) -> None:
    def work(connection: Connection) -> None:
        earn(connection, "a", 1)
        kill_connections(server)
        earn(connection, "b", 1)

    with pytest.raises(ConnectionSevered):
        await server.write(work)
    assert await balances(server) == {"a": 0, "b": 0}


@pytest.mark.parametrize("number", sorted({*AWAY_NUMBERS, *PASSING_NUMBERS} - WAITED))
async def test_a_unit_that_the_server_undid_or_cannot_do_now_runs_again(
    server: Database, number: int
) -> None:
    runs = 0

    def work(connection: Connection) -> None:
        nonlocal runs
        runs += 1
        earn(connection, "a", 1)
        if runs == 1:
            fail(connection, number)

    await server.write(work)
    assert runs == 2
    assert await balances(server) == {"a": 1, "b": 0}


@pytest.mark.parametrize("number", sorted(AWAY_NUMBERS))
async def test_a_server_that_cannot_now_is_asked_on_another_connection(server: Database, number: int) -> None:
    connections: list[int] = []

    def work(connection: Connection) -> None:
        connections.append(select_value(connection, OWN_NUMBER) or 0)
        if len(connections) == 1:
            fail(connection, number)

    await server.write(work)
    assert len(set(connections)) == 2


@pytest.mark.parametrize("number", UNUSABLE_NUMBERS)
async def test_an_error_that_needs_a_person_is_raised_at_once(server: Database, number: int) -> None:
    with pytest.raises(DatabaseUnusable, match=f"error {number}.*nothing was signed"):
        await server.write(lambda connection: fail(connection, number))


async def test_an_error_shows_nothing_that_the_server_says(server: Database) -> None:
    wrong = Statement(text("SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1064, MESSAGE_TEXT = 'only-for-tests'"))
    with pytest.raises(DatabaseRefused, match="error 1064") as refused:
        await server.write(lambda connection: execute(connection, wrong))
    assert "only-for-tests" not in str(refused.value)


async def test_a_cancelled_unit_leaves_no_connection_with_an_answer_under_way(mariadb: MariaDB) -> None:
    url = mariadb.new_database()
    database, engine = Database(url), MysqlEngine(url, 1)
    await create_accounts(database, "a")
    asleep = Statement(text("SELECT SLEEP(30)"))
    loop, begun = asyncio.get_running_loop(), asyncio.Event()

    def work(connection: Connection) -> None:
        earn(connection, "a", 1)
        loop.call_soon(begun.set)
        execute(connection, asleep)

    unit = asyncio.create_task(engine.write(work))
    await begun.wait()
    unit.cancel()
    with pytest.raises(asyncio.CancelledError):
        await unit
    assert await engine.write(lambda connection: select_value(connection, _HELD, "a")) == 0
    await engine.close()
    await database.close()


async def test_a_row_gets_the_number_that_the_database_gives(database: Database) -> None:
    def work(connection: Connection) -> list[int]:
        return [
            insert_numbered(connection, NUMBERED, "shop", "stream", number, "{}", 1, None, None)
            for number in (7, 8)
        ]

    numbers = await database.write(work)
    stored = await database.fetch_all(
        select(tables.outbox.c.id, tables.outbox.c.sequence).order_by(tables.outbox.c.id)
    )
    assert [tuple(row) for row in stored] == list(zip(numbers, (7, 8), strict=True))
    with pytest.raises(Duplicate):
        await database.write(work)


@pytest.mark.parametrize("name", ["größer", "x" * 65])
async def test_a_text_that_an_ascii_column_cannot_store_is_refused_on_every_engine(
    database: Database, name: str
) -> None:
    with pytest.raises(UnfitValue):
        await database.write(lambda connection: execute(connection, LOCK, name, 1))
    assert await database.fetch_all(select(tables.lock)) == []
