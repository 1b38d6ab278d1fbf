"""A migration that is killed on MySQL, wherever that is, ends when it is run again."""

import re
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Index, Integer, MetaData, String, Table
from sqlalchemy.engine import URL
from sqlalchemy.schema import CreateIndex, CreateTable

from strongroom.core.ledger.contract import AnyLedger
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import DatabaseRefused
from strongroom.core.storage.migrations import migrate
from strongroom.core.storage.resume import create_missing, resumable
from strongroom.registry import OWN
from support.databases import execute_elsewhere
from support.killed_migrations import migrate_by_kills
from support.mariadb import MariaDB
from support.old_database import write_old_database
from support.schema import dumped

PET = Table("pet", MetaData(), Column("id", Integer, primary_key=True), Column("name", String(20)))
Index("pet_name", PET.c.name)


VECTORS = Path(__file__).parents[2] / "vectors"
BEFORE_INTENTS = {
    "core": "core_0004",
    "atto": "atto_0003",
    "hathor": "hathor_0006",
    "bittensor": "bittensor_0003",
}
NOW = re.compile(r"'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?'")


def lines(url: URL) -> list[str]:
    """What the database holds, but for the time of its making; indexes have no order of their own."""
    return sorted(NOW.sub("now", line).removesuffix(",") for line in dumped(url).splitlines())


@pytest.mark.parametrize("ledger", OWN, ids=lambda ledger: ledger.name)
async def test_every_revision_is_taken_up_wherever_it_was_killed(mariadb: MariaDB, ledger: AnyLedger) -> None:
    whole, killed = mariadb.new_database(), mariadb.new_database()
    database = Database(whole)
    await migrate(database, [ledger.revisions])
    await database.close()
    assert await migrate_by_kills(killed, [ledger.revisions]) > 20
    assert lines(killed) == lines(whole)


@pytest.mark.parametrize("ledger", OWN, ids=lambda ledger: ledger.name)
async def test_what_an_earlier_version_stored_is_carried_over_wherever_that_was_killed(
    mariadb: MariaDB, ledger: AnyLedger
) -> None:
    whole, killed = mariadb.new_database(), mariadb.new_database()
    for url in (whole, killed):
        database = Database(url)
        dump = VECTORS / ledger.name / "old_database" / "dump.sql"
        await write_old_database(database, ledger.revisions, BEFORE_INTENTS, dump)
        if url is whole:
            await migrate(database, [ledger.revisions])
        await database.close()
    assert await migrate_by_kills(killed, [ledger.revisions]) > 2
    assert lines(killed) == lines(whole)


async def test_a_table_of_another_program_is_not_taken_for_ours(mariadb: MariaDB) -> None:
    url = mariadb.new_database()
    execute_elsewhere(url, "CREATE TABLE pet (id INTEGER PRIMARY KEY, species TEXT)")
    database = Database(url)
    with pytest.raises(DatabaseRefused):
        await database.write(create_as_a_revision_does)
    await database.close()


def create_as_a_revision_does(connection: Connection) -> None:
    with resumable(connection):
        connection.execute(CreateTable(PET))


@pytest.mark.parametrize("index", ["INDEX pet_name (id, name)", "UNIQUE INDEX pet_name (name)"])
async def test_an_index_of_another_program_is_not_taken_for_ours(mariadb: MariaDB, index: str) -> None:
    url = mariadb.new_database()
    execute_elsewhere(url, f"CREATE TABLE pet (id INTEGER PRIMARY KEY, name VARCHAR(20), {index})")
    database = Database(url)
    with pytest.raises(DatabaseRefused):
        await database.write(create_index_as_a_revision_does)
    await database.close()


async def test_an_index_that_stands_is_not_made_again(mariadb: MariaDB) -> None:
    url = mariadb.new_database()
    execute_elsewhere(url, "CREATE TABLE pet (id INTEGER PRIMARY KEY, name VARCHAR(20))")
    database = Database(url)
    for _ in range(2):
        await database.write(create_index_as_a_revision_does)
    await database.close()
    assert [row[2] for row in execute_elsewhere(url, "SHOW INDEX FROM pet")] == ["PRIMARY", "pet_name"]


def create_index_as_a_revision_does(connection: Connection) -> None:
    with resumable(connection):
        for index in PET.indexes:
            connection.execute(CreateIndex(index))


async def test_a_table_lacks_an_index_alone(mariadb: MariaDB) -> None:
    url = mariadb.new_database()
    execute_elsewhere(url, "CREATE TABLE pet (id INTEGER PRIMARY KEY, name VARCHAR(20))")
    database = Database(url)
    for _ in range(2):
        await database.write(lambda connection: create_missing(connection, PET))
    await database.close()
    assert [row[2] for row in execute_elsewhere(url, "SHOW INDEX FROM pet")] == ["PRIMARY", "pet_name"]
