"""Windows of a database of before keep what they held."""

import hashlib
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.engine import URL

from strongroom.core.coordination.spent import NOTHING, Bucket, decode_spent
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import migrate
from support.old_database import old_core

pytestmark = pytest.mark.anyio
BEFORE = {
    "full": f'[[27,1,"40"],[28,2,"{2**256 - 1}"],[30,1,"10"]]',
    "one": '[[27,1,"0"]]',
    "none": "[]",
}


def _fill(connection: Connection) -> None:
    for name, spent in BEFORE.items():
        row = {"rule": "0" * 16, "subject": name, "spent": spent, "updated_at_ms": 7}
        connection.execute(tables.window.insert(), row | {"id": hashlib.sha256(name.encode()).digest()})


@pytest.fixture
async def old(database_url: URL) -> AsyncIterator[Database]:
    async with old_core(database_url, "core_0008", _fill) as database:
        yield database


async def test_a_window_keeps_what_it_held(old: Database) -> None:
    await migrate(old, [])
    rows = await old.fetch_all(select(tables.window))
    held = {row.subject: decode_spent(row.spent) for row in rows}
    assert held["full"].buckets() == [Bucket(27, 1, 40), Bucket(28, 2, 2**256 - 1), Bucket(30, 1, 10)]
    assert (held["full"].signatures, held["full"].amount) == (4, 2**256 + 49)
    assert held["one"].buckets() == [Bucket(27, 1, 0)]
    assert held["none"] == NOTHING
    columns = await old.read(
        lambda connection: connection.execute(text("SELECT counted FROM strongroom_intent")).keys()
    )
    assert list(columns) == ["counted"]
