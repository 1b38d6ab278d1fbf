"""SQLite's one writer: units that wait share a commit, and nothing else."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event, text

from core.accounts import account, add, balances, create_accounts
from strongroom.core.storage import sqlite as engine
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.core.storage.errors import Duplicate


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(sqlite_url(str(tmp_path / "test.sqlite3")))
    await create_accounts(database, "a", "b")
    yield database
    await database.close()


@asynccontextmanager
async def writer_held(database: Database) -> AsyncIterator[None]:
    """The units that are submitted in the block wait together."""
    held, release = threading.Event(), threading.Event()

    def hold(_: Connection) -> None:
        held.set()
        assert release.wait(10)

    holding = asyncio.create_task(database.write(hold))
    assert await asyncio.to_thread(held.wait, 10)
    try:
        yield
        await asyncio.sleep(0)  # the block's tasks submit their units
        await asyncio.sleep(0)
    finally:
        release.set()
        await holding


@contextmanager
def commits_counted() -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: object) -> None:
        seen.append("commit")

    event.listen(Engine, "commit", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "commit", note)


def one_more(connection: Connection) -> None:
    add(connection, "a", 1)


def broken(connection: Connection) -> None:
    add(connection, "a", 100)
    connection.execute(account.insert(), {"name": "b", "balance_raw": 0})


async def test_units_that_wait_together_share_one_commit(database: Database) -> None:
    with commits_counted() as commits:
        async with writer_held(database):
            waiting = [asyncio.create_task(database.write(one_more)) for _ in range(20)]
        await asyncio.gather(*waiting)
    assert len(commits) == 2
    assert await balances(database) == {"a": 20, "b": 0}


async def test_a_batch_has_a_limit(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MAX_UNITS", 8)
    with commits_counted() as commits:
        async with writer_held(database):
            waiting = [asyncio.create_task(database.write(one_more)) for _ in range(20)]
        await asyncio.gather(*waiting)
    assert len(commits) == 1 + 3
    assert await balances(database) == {"a": 20, "b": 0}


async def test_a_unit_that_fails_undoes_itself_alone(database: Database) -> None:
    async with writer_held(database):
        works = [one_more, broken, one_more, broken, one_more]
        waiting = [asyncio.create_task(database.write(work)) for work in works]
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [
        type(None),
        Duplicate,
        type(None),
        Duplicate,
        type(None),
    ]
    assert await balances(database) == {"a": 3, "b": 0}


async def test_units_run_in_the_order_in_which_they_came(database: Database) -> None:
    order: list[int] = []

    def note(_: Connection, number: int) -> None:
        order.append(number)

    async with writer_held(database):
        waiting = [asyncio.create_task(database.write(partial(note, number=number))) for number in range(10)]
    await asyncio.gather(*waiting)
    assert order == list(range(10))


def give_up(connection: Connection) -> None:
    """As SQLite does by itself when the disk is full."""
    connection.execute(text("INSERT OR ROLLBACK INTO account (name, balance_raw) VALUES ('a', '0')"))


def give_up_unnoticed(connection: Connection) -> None:
    with suppress(Duplicate):
        give_up(connection)


@pytest.mark.parametrize("work", [give_up, give_up_unnoticed])
async def test_when_sqlite_gives_up_the_transaction_every_unit_in_it_failed(
    database: Database, work: Callable[[Connection], None]
) -> None:
    async with writer_held(database):
        waiting = [asyncio.create_task(database.write(each)) for each in (one_more, work, one_more)]
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [isinstance(outcome, Exception) for outcome in outcomes] == [True] * 3
    assert await balances(database) == {"a": 0, "b": 0}
    with pytest.raises((Duplicate, RuntimeError)):
        await database.write(work)
    await database.write(one_more)
    assert await balances(database) == {"a": 1, "b": 0}


async def test_when_the_commit_fails_every_unit_in_it_failed(database: Database) -> None:
    def refuse(_connection: object) -> None:
        raise OSError("no commit today")

    def refuse_this_commit(_: Connection) -> None:
        event.listen(Engine, "commit", refuse)

    try:
        async with writer_held(database):
            works = [one_more, refuse_this_commit, one_more]
            waiting = [asyncio.create_task(database.write(work)) for work in works]
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    finally:
        event.remove(Engine, "commit", refuse)
    assert [str(outcome) for outcome in outcomes] == ["no commit today"] * 3
    assert await balances(database) == {"a": 0, "b": 0}


async def test_a_caller_that_is_gone_changes_nothing_for_the_others(database: Database) -> None:
    async with writer_held(database):
        waiting = [asyncio.create_task(database.write(one_more)) for _ in range(3)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting[1].cancel()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), asyncio.CancelledError, type(None)]
    assert await balances(database) == {"a": 3, "b": 0}


async def test_units_that_wait_are_done_before_the_close(database: Database, tmp_path: Path) -> None:
    async with writer_held(database):
        waiting = [asyncio.create_task(database.write(one_more)) for _ in range(5)]
        await asyncio.sleep(0)
        closing = asyncio.create_task(database.close())
    await asyncio.gather(*waiting, closing)
    again = Database(sqlite_url(str(tmp_path / "test.sqlite3")))
    assert await balances(again) == {"a": 5, "b": 0}
    await again.close()


async def test_a_closed_database_refuses_units(database: Database) -> None:
    await database.close()
    with pytest.raises(RuntimeError):
        await asyncio.wait_for(database.write(one_more), 5)
    with pytest.raises(RuntimeError):
        await asyncio.wait_for(balances(database), 5)


async def test_a_new_file_to_which_another_process_writes_is_waited_for(tmp_path: Path) -> None:
    """Services that start together all make the file one with a write-ahead log."""
    path = tmp_path / "new.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("CREATE TABLE theirs (id INTEGER)")
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.2, other.execute, ("ROLLBACK",))
        release.start()
        database = Database(sqlite_url(str(path)))
        assert await database.read(lambda connection: connection.scalar(text("PRAGMA journal_mode"))) == "wal"
        await database.close()
        release.join()
