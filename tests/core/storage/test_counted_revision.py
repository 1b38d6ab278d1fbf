"""Windows of a database of before keep what they held."""

import hashlib

import pytest
from sqlalchemy import Connection, select, text

from strongroom.core.coordination.spent import NOTHING, Bucket, decode_spent
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import migrate

pytestmark = pytest.mark.anyio
BEFORE = {
    "full": f'[[27,1,"40"],[28,2,"{2**256 - 1}"],[30,1,"10"]]',
    "one": '[[27,1,"0"]]',
    "none": "[]",
}


def _as_before(connection: Connection) -> None:
    connection.execute(text("ALTER TABLE strongroom_intent DROP COLUMN counted"))
    connection.execute(text("UPDATE strongroom_version_core SET version_num = 'core_0008'"))
    for name, spent in BEFORE.items():
        row = {"rule": "0" * 16, "subject": name, "spent": spent, "updated_at_ms": 7}
        connection.execute(tables.window.insert(), row | {"id": hashlib.sha256(name.encode()).digest()})


async def test_a_window_keeps_what_it_held(database: Database) -> None:
    await database.write(_as_before)
    await migrate(database, [])
    rows = await database.fetch_all(select(tables.window))
    held = {row.subject: decode_spent(row.spent) for row in rows}
    assert held["full"].buckets() == [Bucket(27, 1, 40), Bucket(28, 2, 2**256 - 1), Bucket(30, 1, 10)]
    assert (held["full"].signatures, held["full"].amount) == (4, 2**256 + 49)
    assert held["one"].buckets() == [Bucket(27, 1, 0)]
    assert held["none"] == NOTHING
    columns = await database.read(
        lambda connection: connection.execute(text("SELECT counted FROM strongroom_intent")).keys()
    )
    assert list(columns) == ["counted"]
