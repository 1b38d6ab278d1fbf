"""Units of work, on both engines."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Callable

import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.engine import URL

from core.accounts import account, add, balances, create_accounts
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.core.storage.errors import DatabaseRefused, DatabaseUnusable, Duplicate, Undone
from strongroom.core.storage.statements import Statement
from support.clock import SeededEntropy
from support.processes import python

Elsewhere = Callable[[str], list[list[str]]]


class Crash(Exception):
    pass


async def test_a_unit_is_committed_and_its_result_returned(database: Database, elsewhere: Elsewhere) -> None:
    await create_accounts(database)

    def work(connection: Connection) -> str:
        connection.execute(account.insert(), {"name": "a", "balance_raw": 7})
        return "done"

    assert await database.write(work) == "done"
    assert elsewhere("SELECT name FROM account") == [["a"]]


async def test_a_unit_that_raises_leaves_nothing(database: Database) -> None:
    await create_accounts(database, "a", "b")

    def work(connection: Connection) -> None:
        add(connection, "a", 5)
        add(connection, "b", 5)
        raise Crash

    with pytest.raises(Crash):
        await database.write(work)
    assert await balances(database) == {"a": 0, "b": 0}


async def test_a_broken_constraint_rolls_back_what_came_before(database: Database) -> None:
    await create_accounts(database, "a")

    def work(connection: Connection) -> None:
        add(connection, "a", 5)
        connection.execute(account.insert(), {"name": "a", "balance_raw": 0})

    with pytest.raises(Duplicate):
        await database.write(work)
    assert await balances(database) == {"a": 0}


async def test_an_error_does_not_show_the_values_of_its_statement(database: Database) -> None:
    await create_accounts(database)
    row = {"name": "a", "balance_raw": None, "note": "open sesame"}
    with pytest.raises(DatabaseRefused) as raised:
        await database.write(lambda connection: connection.execute(account.insert(), row))
    assert "open sesame" not in str(raised.value)


async def test_what_a_reading_unit_writes_is_not_kept(database: Database) -> None:
    await create_accounts(database, "a")
    await database.read(lambda connection: add(connection, "a", 5))
    assert await balances(database) == {"a": 0}


async def test_a_reading_unit_sees_one_snapshot(database: Database, elsewhere: Elsewhere) -> None:
    await create_accounts(database, "a")
    query = select(account.c.note).where(account.c.name == "a")

    def work(connection: Connection) -> list[str | None]:
        before = connection.execute(query).scalar_one()
        elsewhere("UPDATE account SET note = 'changed'")
        return [before, connection.execute(query).scalar_one()]

    assert await database.read(work) == [None, None]
    assert await database.read(lambda connection: connection.execute(query).scalar_one()) == "changed"


async def test_no_update_is_lost_between_writers_of_two_processes(
    database: Database, replica: Database
) -> None:
    await create_accounts(database, "a")

    async def write_many(each: Database) -> None:
        for _ in range(10):
            await each.write(lambda connection: add(connection, "a", 1))

    await asyncio.gather(*(write_many(each) for each in [database, replica] * 3))
    assert await balances(database) == {"a": 60}


async def test_fetch_one_returns_the_first_row_or_none(database: Database) -> None:
    await create_accounts(database, "a", "b")
    query = select(account.c.name).order_by(account.c.name)
    row = await database.fetch_one(query)
    assert row is not None
    assert row.name == "a"
    assert await database.fetch_one(query.where(account.c.name == "c")) is None


class HurriedClock:
    """A clock whose time advances with each sleep."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now_ms(self) -> int:
        return round(self.monotonic_s() * 1000)

    def monotonic_s(self) -> float:
        return sum(self.slept)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
async def hurried(database: Database) -> AsyncIterator[tuple[Database, HurriedClock]]:
    clock = HurriedClock()
    hurried = Database(database.url, clock=clock, entropy=SeededEntropy())
    yield hurried, clock
    await hurried.close()


async def test_a_unit_that_was_undone_for_others_sake_runs_again(
    hurried: tuple[Database, HurriedClock],
) -> None:
    database, clock = hurried
    await create_accounts(database, "a")
    runs = 0

    def work(connection: Connection) -> None:
        nonlocal runs
        runs += 1
        add(connection, "a", 1)
        if runs < 8:
            raise Undone

    await database.write(work)
    assert runs == 8
    assert len(clock.slept) == 7
    assert clock.slept[0] <= 0.02
    assert clock.slept[0] < clock.slept[2] < clock.slept[4]
    assert await balances(database) == {"a": 1}


async def test_what_others_undo_without_end_is_given_up_after_seconds(
    hurried: tuple[Database, HurriedClock],
) -> None:
    database, clock = hurried
    runs = 0

    def work(_: Connection) -> None:
        nonlocal runs
        runs += 1
        raise Undone

    for attempt in (database.write, database.read):
        runs = 0
        before_s = clock.monotonic_s()
        with pytest.raises(Undone, match="nothing was signed"):
            await attempt(work)
        assert runs > 10
        assert 3 < clock.monotonic_s() - before_s <= Undone.patience_s


async def test_pauses_of_two_processes_differ(database: Database) -> None:
    clocks = HurriedClock(), HurriedClock()
    for number, clock in enumerate(clocks):
        other = Database(database.url, clock=clock, entropy=SeededEntropy(number))
        with pytest.raises(Undone):
            await other.write(undone)
        await other.close()
    assert clocks[0].slept != clocks[1].slept


def undone(_: Connection) -> None:
    raise Undone


async def test_a_refused_statement_is_not_tried_again(database: Database) -> None:
    runs = 0

    def work(connection: Connection) -> None:
        nonlocal runs
        runs += 1
        connection.execute(text("SELECT FROM FROM"))

    with pytest.raises(DatabaseRefused):
        await database.write(work)
    assert runs == 1


async def test_a_table_that_is_gone_makes_the_database_unusable(database: Database) -> None:
    with pytest.raises(DatabaseUnusable, match="nothing was signed"):
        await database.read(lambda connection: connection.execute(text("SELECT * FROM nowhere")).all())
    if not database.is_sqlite:
        with pytest.raises(DatabaseUnusable):
            await database.query(Statement(text("SELECT * FROM nowhere")))


def transfer(connection: Connection) -> None:
    add(connection, "a", 1)
    add(connection, "b", 1)


async def test_cancelled_callers_tear_no_unit(database: Database) -> None:
    await create_accounts(database, "a", "b")
    seeded = random.Random(7)

    async def cancelled_soon() -> None:
        unit = asyncio.create_task(database.write(transfer))
        for _ in range(seeded.randrange(12)):
            await asyncio.sleep(0)
        unit.cancel()
        await asyncio.wait([unit])

    await asyncio.gather(*(cancelled_soon() for _ in range(40)))
    await database.write(transfer)
    found = await balances(database)
    assert found["a"] == found["b"] >= 1


async def test_a_unit_under_way_is_committed_though_its_caller_is_gone(
    database: Database, replica: Database
) -> None:
    await create_accounts(database, "a", "b")
    unit = asyncio.create_task(database.write(transfer))
    await asyncio.sleep(0)  # the unit starts
    await asyncio.sleep(0)
    unit.cancel()
    with pytest.raises(asyncio.CancelledError):
        await unit
    await database.close()
    assert await balances(replica) == {"a": 1, "b": 1}


async def test_a_cancelled_reader_does_not_go_on(database: Database) -> None:
    """A driver that takes a cancellation for a broken connection must not hide it from its caller."""
    await create_accounts(database, "a")
    seeded = random.Random(7)
    went_on = 0

    async def read_twice() -> None:
        nonlocal went_on
        await balances(database)
        went_on += task.cancelling()

    for _ in range(150):
        task = asyncio.create_task(read_twice())
        for _ in range(seeded.randrange(20)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    assert went_on == 0


async def test_cancelled_readers_leave_the_connections_sound(database: Database) -> None:
    await create_accounts(database, "a", "b", "c")
    seeded = random.Random(7)

    async def cancelled_soon() -> None:
        reader = asyncio.create_task(balances(database))
        for _ in range(seeded.randrange(30)):
            await asyncio.sleep(0)
        reader.cancel()
        await asyncio.wait([reader])

    await asyncio.gather(*(cancelled_soon() for _ in range(40)))
    found = await asyncio.gather(*(balances(database) for _ in range(20)))
    assert found == [{"a": 0, "b": 0, "c": 0}] * 20


async def test_readers_do_not_wait_for_a_writer(tmp_path: object) -> None:
    database = Database(sqlite_url(f"{tmp_path}/test.sqlite3"))
    await create_accounts(database, "a")
    written, may_commit = threading.Event(), threading.Event()

    def work(connection: Connection) -> None:
        add(connection, "a", 1)
        written.set()
        assert may_commit.wait(10)

    unit = asyncio.create_task(database.write(work))
    assert await asyncio.to_thread(written.wait, 10)
    assert await balances(database) == {"a": 0}
    may_commit.set()
    await unit
    assert await balances(database) == {"a": 1}
    await database.close()


async def test_sqlite_commits_reach_the_disk(tmp_path: object) -> None:
    database = Database(sqlite_url(f"{tmp_path}/test.sqlite3"))

    def pragmas(connection: Connection) -> list[object]:
        return [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]

    full = 2
    assert await database.write(pragmas) == ["wal", full, 1]
    assert await database.read(pragmas) == ["wal", full, 1]
    await database.close()


WRITE_UNTIL_KILLED = """
import asyncio, sys
from sqlalchemy.engine import make_url
from core.accounts import create_accounts
from core.storage.test_database import transfer
from strongroom.core.storage.database import Database

async def main():
    database = Database(make_url(sys.argv[1]))
    await create_accounts(database, "a", "b")
    for number in range(1, 1_000_000):
        await database.write(transfer)
        print(number, flush=True)

asyncio.run(main())
"""


async def test_a_killed_process_leaves_whole_units_and_every_one_it_reported(database_url: URL) -> None:
    url = database_url.render_as_string(hide_password=False)
    with python(WRITE_UNTIL_KILLED, url) as process:
        await asyncio.to_thread(process.wait_for, "20")
        process.kill()
    database = Database(database_url)
    found = await balances(database)
    await database.close()
    assert found["a"] == found["b"] >= int(process.stdout[-1])


async def test_the_use_of_connections_is_counted(database: Database) -> None:
    """With more units at a time than any pool has connections, some wait; none is counted when all have ended."""
    (reads,) = [load for load in database.loads if load.name == "read"]
    seen = list[int]()

    def look(connection: Connection) -> None:
        connection.execute(select(1))
        seen.append(reads.in_use)

    units = [asyncio.ensure_future(database.read(look)) for _ in range(reads.size + 3)]
    await asyncio.sleep(0)  # each has begun, and none has an answer yet
    await asyncio.gather(*units)
    assert max(seen) == reads.size
    assert reads.waits >= 3
    assert (reads.in_use, reads.waiting) == (0, 0)
