"""Two real nodes of a Galera cluster: transactions that undo each other's, and a node that has lost its quorum."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection, text

from core.accounts import add, balances, create_accounts
from strongroom.core.storage.check import check_database
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import DatabaseUnavailable, Undone
from strongroom.core.storage.migrations import migrate
from strongroom.core.storage.statements import Statement
from support.galera import Galera
from support.waiting import eventually, until_true

pytestmark = pytest.mark.anyio

MANY = 1_000
"""Transactions of a node, among which some meet the other's."""


@pytest.fixture
async def nodes(galera: Galera) -> AsyncIterator[tuple[Database, Database]]:
    """The same database, over each node."""
    name = galera.new_database()
    first, second = Database(galera.first.url(name)), Database(galera.second.url(name))
    await migrate(first, [])
    await create_accounts(first, "a", "b")
    await until_same(first, second)  # the other node applies what it gets a moment later
    yield first, second
    await first.close()
    await second.close()


async def until_same(first: Database, second: Database) -> dict[str, int]:
    """A node may be a moment behind the other."""

    async def is_same() -> bool:
        try:
            return await balances(first) == await balances(second)
        except DatabaseUnavailable:  # it has not made the table yet
            return False

    await until_true(is_same)
    return await balances(first)


async def test_transactions_of_two_nodes_undo_each_other_and_all_are_done_in_the_end(
    nodes: tuple[Database, Database],
) -> None:
    """Each node locks rows for itself alone, and learns of the other's transaction at the commit."""
    runs = 0

    def work(connection: Connection) -> None:
        nonlocal runs
        runs += 1
        add(connection, "a", 1)
        connection.execute(text("SELECT SLEEP(0.02)"))
        add(connection, "b", 1)

    done, have_met = 0, False

    async def write_until_they_meet(database: Database) -> None:
        nonlocal done, have_met
        for _ in range(MANY):
            if have_met:
                break
            await database.write(work)
            done += 1
            if done >= 20 and runs > done + 1:  # one more than is under way
                have_met = True

    await asyncio.gather(*(write_until_they_meet(database) for database in nodes))
    assert await until_same(*nodes) == {"a": done, "b": done}
    assert runs > done, "they never met"


async def test_who_loses_always_hears_that_the_database_is_busy(
    nodes: tuple[Database, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Undone, "patience_s", 0.0)
    first, second = nodes
    refused: list[BaseException] = []
    done = 0

    async def write_many(database: Database) -> None:
        nonlocal done
        for _ in range(MANY):
            try:
                await database.write(lambda connection: add(connection, "a", 1))
                done += 1
            except DatabaseUnavailable as error:
                refused.append(error)
            if done >= 40 and refused:
                break

    await asyncio.gather(write_many(first), write_many(second))
    assert refused
    assert {type(error) for error in refused} == {Undone}
    assert await until_same(*nodes) == {"a": done, "b": 0}


async def test_a_node_without_quorum_is_unavailable_until_it_has_one(
    galera: Galera, nodes: tuple[Database, Database]
) -> None:
    """The last test of this file: the other node stays dead."""
    first, _ = nodes
    await check_database(first)
    await asyncio.to_thread(galera.second.kill)
    await eventually(lambda: not galera.first.has_quorum())
    for attempt in (
        first.write(lambda connection: add(connection, "a", 1)),
        first.read(lambda connection: connection.execute(text("SELECT * FROM account")).all()),
        first.query(Statement(text("SELECT * FROM account"))),
        check_database(first),
    ):
        with pytest.raises(DatabaseUnavailable, match="nothing was signed"):
            await attempt
    waiting = asyncio.create_task(first.write(lambda connection: add(connection, "a", 1)))
    await asyncio.to_thread(galera.first.give_quorum)
    await waiting
    await check_database(first)
    assert await balances(first) == {"a": 1, "b": 0}
