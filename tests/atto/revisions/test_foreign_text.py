"""What a node says is stored whole, also on a server whose own character set is too small for it."""

import pytest
from sqlalchemy import Connection, select

from strongroom.atto import tables
from strongroom.atto.definition import REVISIONS
from strongroom.core.storage.database import Database
from strongroom.core.storage.foreign_text import narrow_columns
from strongroom.core.storage.migrations import migrate
from support.mariadb import MariaDB

pytestmark = pytest.mark.anyio

WORDS = "Отклонено 🚫"


@pytest.mark.parametrize("charset", ["latin1", "ascii", "utf8mb3"])
async def test_a_node_s_words_fit_into_a_database_of_a_small_character_set(
    mariadb: MariaDB, charset: str
) -> None:
    database = Database(mariadb.new_database(charset=charset))
    await migrate(database, [REVISIONS])
    await database.write(insert_receivable)
    assert await database.read(lambda c: c.scalar(select(tables.receivable.c.problem))) == WORDS
    assert await database.read(lambda c: narrow_columns(c, tables.metadata)) == []
    await database.close()


def insert_receivable(connection: Connection) -> None:
    row = {
        "hash": bytes(32),
        "address": "a",
        "amount": 1,
        "sender": bytes(32),
        "timestamp_ms": 1,
        "version": 0,
        "problem": WORDS,
    }
    connection.execute(tables.receivable.insert(), row)
