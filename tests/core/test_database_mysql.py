"""What MySQL and MariaDB alone can do to a unit of work."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from core.accounts import account, add, balances, create_accounts
from strongroom.core.database import ATTEMPTS, Database
from strongroom.core.mysql import PASSING, CommitUnknown, ConnectionSevered
from support.databases import execute_elsewhere
from support.mariadb import MariaDB
from support.processes import python


@pytest.fixture
async def database(mariadb: MariaDB) -> AsyncIterator[Database]:
    database = Database(mariadb.new_database(), pool_size=4)
    await create_accounts(database, "a", "b")
    yield database
    await database.close()


async def test_two_units_that_deadlock_both_end_well(database: Database) -> None:
    runs = 0

    async def transfer(first: str, second: str) -> None:
        def work(connection: Connection) -> None:
            nonlocal runs
            runs += 1
            add(connection, first, 1)
            connection.execute(text("SELECT SLEEP(0.2)"))  # until the other one holds its first row
            add(connection, second, 1)

        await database.write(work)

    await asyncio.gather(transfer("a", "b"), transfer("b", "a"))
    assert runs > 2, "they did not deadlock"
    assert await balances(database) == {"a": 2, "b": 2}


def kill_connections(database: Database) -> None:
    query = (
        "SELECT CONCAT('KILL ', id) FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND db = "
    )
    kills = execute_elsewhere(database.url, f"{query}'{database.url.database}'")
    assert kills
    execute_elsewhere(database.url, "; ".join(row[0] for row in kills))


async def test_connections_that_the_server_closed_are_replaced(database: Database) -> None:
    await balances(database)
    kill_connections(database)
    assert await balances(database) == {"a": 0, "b": 0}
    await database.write(lambda connection: add(connection, "a", 1))
    assert await balances(database) == {"a": 1, "b": 0}


async def test_a_unit_whose_connection_breaks_runs_again_as_a_whole(database: Database) -> None:
    runs = 0

    def work(connection: Connection) -> None:
        nonlocal runs
        runs += 1
        add(connection, "a", 1)
        if runs == 1:
            kill_connections(database)
        add(connection, "b", 1)

    await database.write(work)
    assert runs == 2
    assert await balances(database) == {"a": 1, "b": 1}


async def test_a_unit_whose_connection_always_breaks_leaves_nothing(database: Database) -> None:
    runs = 0

    def work(connection: Connection) -> None:
        nonlocal runs
        runs += 1
        add(connection, "a", 1)
        kill_connections(database)
        add(connection, "b", 1)

    with pytest.raises(ConnectionSevered):
        await database.write(work)
    assert runs == ATTEMPTS
    assert await balances(database) == {"a": 0, "b": 0}


async def test_a_commit_whose_connection_breaks_is_not_repeated(database: Database) -> None:
    """It may have been done: only the caller can find out."""
    runs = 0

    def work(connection: Connection) -> None:
        nonlocal runs
        runs += 1
        add(connection, "a", 1)
        kill_connections(database)

    with pytest.raises(CommitUnknown):
        await database.write(work)
    assert runs == 1
    assert await balances(database) == {"a": 0, "b": 0}


STOPS_ITSELF = """
import asyncio, os, signal, sys
from sqlalchemy.engine import make_url
from core.accounts import add
from strongroom.core.database import Database

runs = 0

def work(connection):
    global runs
    runs += 1
    add(connection, "a", 1)
    if runs == 1:
        print("locked", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)
    add(connection, "b", 1)

async def main():
    database = Database(make_url(sys.argv[1]))
    await database.write(work)
    await database.close()
    print("runs", runs, flush=True)

asyncio.run(main())
"""


async def test_a_process_stopped_in_the_midst_of_a_unit_does_not_keep_its_rows(database: Database) -> None:
    with python(STOPS_ITSELF, database.url.render_as_string(hide_password=False)) as stopped:
        await asyncio.to_thread(stopped.wait_for, "locked")
        await database.write(lambda connection: add(connection, "a", 10))
        assert await balances(database) == {"a": 10, "b": 0}
        stopped.resume()
        await asyncio.to_thread(stopped.wait_for, "runs 2")
        assert stopped.wait_end() == 0
    assert await balances(database) == {"a": 11, "b": 1}


async def test_a_reader_whose_connections_were_closed_reads_again(database: Database) -> None:
    await asyncio.gather(*(balances(database) for _ in range(4)))
    kill_connections(database)
    found = await asyncio.gather(*(balances(database) for _ in range(8)))
    assert found == [{"a": 0, "b": 0}] * 8


async def test_more_units_than_connections_wait_their_turn(database: Database) -> None:
    await asyncio.gather(*(database.write(lambda connection: add(connection, "a", 1)) for _ in range(20)))
    assert await balances(database) == {"a": 20, "b": 0}


async def test_nothing_is_cut_off_though_the_server_would(mariadb: MariaDB) -> None:
    execute_elsewhere(mariadb.url(), "SET GLOBAL sql_mode = ''")
    try:
        database = Database(mariadb.new_database())
        await create_accounts(database)
        row = {"name": "longer than sixteen", "balance_raw": 0}
        with pytest.raises(DBAPIError, match="too long"):
            await database.write(lambda connection: connection.execute(account.insert(), row))
        await database.close()
    finally:
        execute_elsewhere(mariadb.url(), "SET GLOBAL sql_mode = DEFAULT")


async def test_a_server_that_is_silent_does_not_answer(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strongroom.core.database.ANSWER_S", 0.2)
    with pytest.raises(ConnectionSevered):
        await database.read(lambda connection: connection.execute(text("SELECT SLEEP(1)")).all())


async def test_a_unit_that_outlasts_the_patience_of_its_caller_may_commit_yet(database: Database) -> None:
    def work(connection: Connection) -> None:
        connection.execute(text("SELECT SLEEP(0.5)"))
        add(connection, "a", 1)

    with pytest.raises(CommitUnknown):
        await database.write(work, answer_s=0.1)
    await database.write(lambda connection: add(connection, "b", 1))
    async with asyncio.timeout(10):
        while await balances(database) != {"a": 1, "b": 1}:  # noqa: ASYNC110 - nobody waits for the unit
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("number", sorted(PASSING))
async def test_a_server_that_cannot_now_is_asked_again_on_another_connection(
    database: Database, number: int
) -> None:
    connections: list[int] = []

    def work(connection: Connection) -> None:
        connections.append(connection.scalar(text("SELECT CONNECTION_ID()")) or 0)
        add(connection, "a", 1)
        if len(connections) == 1:
            connection.execute(text(f"SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {number}"))

    await database.write(work)
    assert len(set(connections)) == 2
    assert await balances(database) == {"a": 1, "b": 0}


async def test_what_was_read_counts_though_the_connection_breaks_behind_it(database: Database) -> None:
    def work(connection: Connection) -> int:
        found: int = connection.scalar(text("SELECT COUNT(*) FROM account")) or 0
        kill_connections(database)
        return found

    assert [await database.read(work) for _ in range(6)] == [2] * 6
