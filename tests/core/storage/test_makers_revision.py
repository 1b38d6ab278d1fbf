"""Tokens of a database of before get their makers from the audit trail."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection, column, select, table
from sqlalchemy.engine import URL

from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import migrate
from support.old_database import append_old_rows, old_core

pytestmark = pytest.mark.anyio
NAMES = ("boss", "shop", "till", "clerk", "other")
GIFTS = (
    ("operator", "token.create", "boss"),
    ("operator", "token.create", "clerk"),
    ("operator", "token.create", "other"),
    ("token:boss", "token.create", "shop"),
    ("token:shop", "token.create", "till"),
    ("token:boss", "token.rotate", "clerk"),
    ("token:clerk", "token.rotate", "boss"),
    ("token:other", "token.rotate", "other"),
    ("token:boss", "token.change", "other"),
    ("token:boss", "token.revoke", "other"),
    ("token:boss", "token.create", "gone"),
)
_OLD = table(
    "strongroom_token",
    *map(column, ("id", "name", "secret_hash", "scopes", "created_at_ms", "revoked_at_ms")),
)


def _fill(connection: Connection) -> None:
    for name in NAMES:
        row = {"id": f"id-{name}", "name": name, "secret_hash": bytes(32), "scopes": "[]", "created_at_ms": 7}
        connection.execute(_OLD.insert(), row)
    append_old_rows(connection, *((who, action, f"id-{name}") for who, action, name in GIFTS))


@pytest.fixture
async def old(database_url: URL) -> AsyncIterator[Database]:
    async with old_core(database_url, "core_0012", _fill) as database:
        yield database


async def test_a_token_of_before_has_its_makers(old: Database) -> None:
    await migrate(old, [])
    rows = await old.fetch_all(select(tables.token))
    assert {row.name: row.makers for row in rows} == {
        "boss": '["token:clerk"]',
        "clerk": '["token:boss"]',
        "shop": '["token:boss","token:clerk"]',
        "till": '["token:shop","token:boss","token:clerk"]',
        "other": None,
    }
