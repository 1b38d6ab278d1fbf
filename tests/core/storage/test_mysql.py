"""What MySQL and MariaDB alone can do to a unit of work."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncmy
import pytest
from sqlalchemy import Connection, Engine, event, inspect, literal_column, select, text
from sqlalchemy.exc import NoSuchTableError

from core.accounts import account, add, balances, create_accounts
from strongroom.core.errors import StrongroomError
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import (
    CommitUnknown,
    ConnectionSevered,
    DatabaseUnusable,
    Duplicate,
    Undone,
    UnfitValue,
)
from strongroom.core.storage.numbers import AWAY_NUMBERS, PASSING_NUMBERS, UNUSABLE_NUMBERS, WAITED
from strongroom.core.storage.statements import Statement, select_value
from support.databases import execute_elsewhere
from support.mariadb import MariaDB
from support.processes import python
from support.waiting import PATIENCE_S


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


async def test_an_error_after_a_look_at_a_missing_table_is_still_one_of_ours(database: Database) -> None:
    """SQLAlchemy keeps the errors of its own look to itself, and marks the connection for it."""

    def look(connection: Connection) -> None:
        assert not inspect(connection).has_table("missing")
        with pytest.raises(NoSuchTableError):
            inspect(connection).get_columns("missing")
        connection.execute(text("SELECT 1 FROM missing"))

    with pytest.raises(DatabaseUnusable):
        await database.read(look)
    with pytest.raises(DatabaseUnusable):
        await database.write(look)


async def test_a_unit_runs_again_if_its_connection_breaks_at_a_look_at_a_table(database: Database) -> None:
    runs = 0

    def look(connection: Connection) -> bool:
        nonlocal runs
        runs += 1
        connection.execute(text("SELECT 1"))
        if runs == 1:
            kill_connections(database)
        return inspect(connection).has_table("account")

    assert await database.write(look)
    assert runs == 2


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
    assert runs > 3
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
from strongroom.core.storage.database import Database

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
        with pytest.raises(UnfitValue, match="too long"):
            await database.write(lambda connection: connection.execute(account.insert(), row))
        await database.close()
    finally:
        execute_elsewhere(mariadb.url(), "SET GLOBAL sql_mode = DEFAULT")


async def test_a_server_that_is_silent_does_not_answer(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strongroom.core.storage.database.ANSWER_S", 0.2)
    with pytest.raises(ConnectionSevered):
        await database.read(lambda connection: connection.execute(text("SELECT SLEEP(1)")).all())


@pytest.mark.parametrize("error", [RuntimeError, OSError])
async def test_a_connection_that_breaks_while_it_is_opened_is_opened_again(
    mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """asyncmy has a RuntimeError for one that breaks before its socket is set up."""
    database, connect, broken = Database(mariadb.new_database()), asyncmy.connect, list[str]()

    def breaks(**arguments: Any) -> Any:
        if len(broken) % 2:
            broken.append("not")
            return connect(**arguments)
        broken.append("yes")
        raise error("Transport does not expose socket instance")

    monkeypatch.setattr(asyncmy, "connect", breaks)
    one = Statement(select(literal_column("1")))
    assert await database.write(lambda connection: select_value(connection, one)) == 1
    assert await database.query(one) == ((1,),)
    assert broken == ["yes", "not", "yes", "not"]
    await database.close()


async def test_a_unit_that_outlasts_the_patience_of_its_caller_may_commit_yet(database: Database) -> None:
    def work(connection: Connection) -> None:
        connection.execute(text("SELECT SLEEP(0.5)"))
        add(connection, "a", 1)

    with pytest.raises(CommitUnknown):
        await database.write(work, answer_s=0.1)
    await database.write(lambda connection: add(connection, "b", 1))
    async with asyncio.timeout(PATIENCE_S):
        while await balances(database) != {"a": 1, "b": 1}:  # noqa: ASYNC110 - nobody waits for the unit
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("number", [*AWAY_NUMBERS, 2999, 8108, 9001])
async def test_a_server_that_cannot_now_is_asked_again_on_another_connection(
    database: Database, number: int
) -> None:
    connections: list[int] = []

    def work(connection: Connection) -> None:
        connections.append(connection.scalar(text("SELECT CONNECTION_ID()")) or 0)
        add(connection, "a", 1)
        if len(connections) == 1:
            signal(connection, number)

    await database.write(work)
    assert len(set(connections)) == 2
    assert await balances(database) == {"a": 1, "b": 0}


def signal(connection: Connection, number: int, sqlstate: str = "HY000") -> None:
    """The server says so."""
    connection.execute(text(f"SIGNAL SQLSTATE '{sqlstate}' SET MYSQL_ERRNO = {number}"))


@pytest.mark.parametrize("number", sorted(set(PASSING_NUMBERS) - WAITED))
async def test_a_unit_that_the_server_undid_runs_again(database: Database, number: int) -> None:
    runs = 0

    def work(connection: Connection) -> None:
        nonlocal runs
        runs += 1
        add(connection, "a", 1)
        if runs == 1:
            signal(connection, number)

    await database.write(work)
    assert await balances(database) == {"a": 1, "b": 0}


@pytest.mark.parametrize(("number", "sqlstate"), [(1999, "40001"), (1998, "08S01"), (4099, "40000")])
async def test_an_unknown_error_number_is_judged_by_its_sqlstate(
    database: Database, number: int, sqlstate: str
) -> None:
    runs = 0

    def work(connection: Connection) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            signal(connection, number, sqlstate)

    await database.write(work)
    assert runs == 2


@pytest.mark.parametrize("number", UNUSABLE_NUMBERS)
async def test_an_error_that_needs_a_person_is_raised_at_once(database: Database, number: int) -> None:
    runs = 0

    def work(connection: Connection) -> None:
        nonlocal runs
        runs += 1
        signal(connection, number)

    with pytest.raises(DatabaseUnusable, match=f"error {number}.*nothing was signed"):
        await database.write(work)
    assert runs == 1


async def refuse_commit(database: Database, number: int) -> BaseException:
    """What a unit ends with when the server answers its COMMIT with this error."""

    def commit(connection: Connection) -> None:
        signal(connection, number)

    event.listen(Engine, "commit", commit)
    try:
        await database.write(lambda connection: add(connection, "a", 1))
    except StrongroomError as error:
        return error
    finally:
        event.remove(Engine, "commit", commit)
    raise AssertionError("it was committed")


@pytest.mark.parametrize("number", [1213, 3101, 9007, 8002])
async def test_a_commit_that_the_server_undid_is_given_up_as_undone(database: Database, number: int) -> None:
    assert isinstance(await refuse_commit(database, number), Undone)
    assert await balances(database) == {"a": 0, "b": 0}


async def test_a_duplicate_at_the_commit_is_reported_as_one(database: Database) -> None:
    assert isinstance(await refuse_commit(database, 1062), Duplicate)


@pytest.mark.parametrize("number", [1180, 1047, 1205, 1105, 1290, 1026, 1598, 9002, 8027, 3100])
async def test_any_other_failed_commit_is_unknown(database: Database, number: int) -> None:
    assert isinstance(await refuse_commit(database, number), CommitUnknown)


async def test_what_is_wrong_with_the_password_is_no_defect(mariadb: MariaDB) -> None:
    database = Database(mariadb.new_database().set(password="another"))
    with pytest.raises(DatabaseUnusable, match="error 1045"):
        await database.read(lambda connection: connection.execute(text("SELECT 1")).all())
    with pytest.raises(DatabaseUnusable, match="error 1045"):
        await database.query(Statement(text("SELECT 1")))
    await database.close()


async def test_a_row_that_stays_locked_is_given_up_after_one_wait(
    database: Database,
) -> None:
    """The server waited already: five such waits would outlast every caller."""
    held, loop = asyncio.Event(), asyncio.get_running_loop()
    runs = 0

    def hold(connection: Connection) -> None:
        add(connection, "a", 1)
        loop.call_soon_threadsafe(held.set)
        connection.execute(text("SELECT SLEEP(3)"))

    def work(connection: Connection) -> None:
        nonlocal runs
        runs += 1
        connection.execute(text("SET SESSION innodb_lock_wait_timeout = 1"))
        add(connection, "a", 1)

    holder = asyncio.create_task(database.write(hold))
    await held.wait()
    with pytest.raises(Undone):
        await database.write(work)
    assert runs == 1
    await holder


async def test_what_was_read_counts_though_the_connection_breaks_behind_it(database: Database) -> None:
    def work(connection: Connection) -> int:
        found: int = connection.scalar(text("SELECT COUNT(*) FROM account")) or 0
        kill_connections(database)
        return found

    assert [await database.read(work) for _ in range(6)] == [2] * 6
