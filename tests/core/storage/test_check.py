"""The check that every ledger runs all the time: a database that cannot store anything is not UP."""

import asyncio

import pytest
from sqlalchemy import Connection, text

from core.accounts import account, create_accounts
from strongroom.core.errors import Unavailable
from strongroom.core.storage import tables
from strongroom.core.storage.check import check_database
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import ConnectionSevered, DatabaseUnusable
from support.databases import execute_elsewhere
from support.mariadb import MariaDB, mysql_program


async def test_a_sound_database_is_checked_and_left_as_it_was(database: Database) -> None:
    await asyncio.gather(*(check_database(database) for _ in range(8)))
    assert await database.fetch_all(tables.lease.select()) == []


def fill(connection: Connection) -> None:
    """Until there is no more room."""
    for number in range(10_000):
        row = {"name": f"{number}", "balance_raw": 0, "seal": bytes(300)}
        connection.execute(account.insert(), row)


async def test_a_full_sqlite_database_says_so_and_works_again_when_there_is_room(
    database: Database,
) -> None:
    if not database.is_sqlite:
        await only_a_full_table_is_full(database)
        return
    await create_accounts(database, "a")
    pages: int = await database.write(lambda c: c.scalar(text("PRAGMA page_count")) or 0)
    await database.write(lambda c: c.exec_driver_sql(f"PRAGMA max_page_count={pages + 4}").all())
    with pytest.raises(DatabaseUnusable, match=r"SQLITE_FULL.*nothing was signed"):
        await database.write(fill)
    with pytest.raises(DatabaseUnusable, match="SQLITE_FULL"):  # though its own row fits
        await check_database(database)
    await check_database(database)
    await database.write(lambda c: c.exec_driver_sql("PRAGMA max_page_count=1000000").all())
    await database.write(fill)
    await check_database(database)


async def only_a_full_table_is_full(database: Database) -> None:
    """MariaDB has real full tables of its own: those in memory."""

    def work(connection: Connection) -> None:
        connection.execute(text("SET SESSION max_heap_table_size = 16384"))
        connection.execute(text("CREATE TEMPORARY TABLE full_soon (text CHAR(255)) ENGINE = MEMORY"))
        for _ in range(10_000):
            connection.execute(text("INSERT INTO full_soon VALUES (REPEAT('x', 255))"))

    with pytest.raises(DatabaseUnusable, match=r"error 1114.*nothing was signed"):
        await database.write(work)
    with pytest.raises(DatabaseUnusable, match="error 1114"):
        await check_database(database)
    await check_database(database)


async def test_all_units_of_a_group_that_did_not_fit_hear_the_same(database: Database) -> None:
    if not database.is_sqlite:
        await only_a_full_table_is_full(database)
        return
    await create_accounts(database, "a")
    pages: int = await database.write(lambda c: c.scalar(text("PRAGMA page_count")) or 0)
    await database.write(lambda c: c.exec_driver_sql(f"PRAGMA max_page_count={pages}").all())
    units = [asyncio.create_task(database.write(fill)) for _ in range(5)]
    outcomes = await asyncio.gather(*units, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {DatabaseUnusable}


async def test_a_server_that_can_only_be_read_is_not_up(mariadb: MariaDB, database: Database) -> None:
    if database.is_sqlite:
        await database.write(lambda c: c.exec_driver_sql("PRAGMA query_only=ON"))
        with pytest.raises(DatabaseUnusable, match="SQLITE_READONLY"):
            await check_database(database)
        return
    read_only = "tx_read_only" if mysql_program() is None else "transaction_read_only"
    execute_elsewhere(mariadb.url(), f"SET GLOBAL {read_only} = ON")
    later = Database(database.url)
    try:
        with pytest.raises(ConnectionSevered):
            await check_database(later)
    finally:
        execute_elsewhere(mariadb.url(), f"SET GLOBAL {read_only} = OFF")
        await later.close()


async def test_a_database_without_our_tables_is_not_up(mariadb: MariaDB) -> None:
    database = Database(mariadb.new_database())
    with pytest.raises(DatabaseUnusable, match="error 1146"):
        await check_database(database)
    await database.close()


async def test_a_silent_database_is_not_up(mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongroom.core.storage.check.CHECK_S", 0.3)
    database = Database(mariadb.new_database())
    mariadb.pause()
    try:
        with pytest.raises(Unavailable, match="does not answer within"):
            await check_database(database)
    finally:
        mariadb.resume()
    await database.close()
