"""The key of a database of before becomes version 1, and no row that it sealed changes."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection, column, select, table, update
from sqlalchemy.engine import URL

from strongroom.core.security.keys.versions import KeyState, KeyVersion, load_versions
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import migrate
from support.old_database import write_old_core

pytestmark = pytest.mark.anyio

CHECK = bytes(range(32))
_TAGS = table("strongroom_binding", *map(column, ("id", "table_name", "row_name", "sequence", "tag")))
_AUDIT = table(
    "strongroom_audit",
    *map(
        column,
        ("sequence", "at_ms", "principal", "action", "subject", "details", "previous_hash", "hash"),
    ),
)


@pytest.fixture
async def old(database_url: URL) -> AsyncIterator[Database]:
    database = Database(database_url)
    await write_old_core(database, "core_0013")
    yield database
    await database.close()


def _bind(connection: Connection) -> None:
    connection.execute(update(tables.binding_state).values(key_check=CHECK))
    row = {"id": bytes(32), "table_name": "wallet", "row_name": "main", "sequence": 1, "tag": b"t" * 32}
    connection.execute(_TAGS.insert(), row)
    bound = {
        "sequence": 1,
        "at_ms": 7,
        "principal": "system:vault",
        "action": "vault.bind",
        "subject": "wallet",
        "details": "{}",
        "previous_hash": bytes(32),
        "hash": bytes(32),
    }
    connection.execute(_AUDIT.insert(), bound)


async def test_the_key_that_bound_the_rows_is_version_1(old: Database) -> None:
    await old.write(_bind)
    await migrate(old, [])
    first = KeyVersion(version=1, state=KeyState.ACTIVE, check=CHECK, created_at_ms=7)
    assert await old.read(load_versions) == [first]
    tags = await old.fetch_all(select(tables.binding))
    assert [(row.row_name, row.tag, row.key_version) for row in tags] == [("main", b"t" * 32, 1)]


async def test_a_database_that_was_never_bound_has_no_version_yet(old: Database) -> None:
    await migrate(old, [])
    assert await old.read(load_versions) == []
