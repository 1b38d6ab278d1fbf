"""Adopted tables in small character sets take any text afterwards: what strangers write on the chain stops no sync."""

import json
from functools import partial

import pytest
from sqlalchemy import Connection, select

from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import UnfitValue
from strongroom.core.storage.foreign_text import narrow_columns
from strongroom.core.storage.schema import plan
from strongroom.hathor import tables
from strongroom.hathor.notifications.devices import Device, find_device, register_device
from strongroom.hathor.protocol.events import Event
from support.hathor.original import create_tables
from support.hathor.streams import HATHOR, VECTORS, apply, prepare, read_frames
from support.mariadb import MariaDB
from support.sql import execute, execute_many

pytestmark = pytest.mark.anyio

ROCKET = "🚀 Ракета ₿"
SYMBOL = "🚀🌕"
WALLET = "a" * 64
TOKENS = 20_000
SMALL = {"latin1": "Münze", "utf8mb3": "Münze ₿", "ascii": "Coin"}
"""Character sets, and a name that each can hold."""


def fill(connection: Connection, name: str) -> None:
    """The original's tables with rows, keys that refer to them, an index, and the row format of an old server."""
    create_tables(connection)
    execute(connection, "CREATE INDEX token_name_idx ON token (name, symbol)")
    execute(connection, "ALTER TABLE token ROW_FORMAT=COMPACT")
    charset = connection.exec_driver_sql("SELECT @@character_set_database").scalar_one()
    if charset in {"latin1", "ascii"}:  # with larger letters this key never fitted into that format
        execute(connection, "ALTER TABLE push_devices ROW_FORMAT=COMPACT")
    ids = [f"{number:064x}" for number in range(1, TOKENS + 1)]
    execute_many(
        connection,
        "INSERT INTO token (id, name, symbol) VALUES ({}, {}, {})",
        [(id_, f"{name} {number}", "T") for number, id_ in enumerate(ids)],
    )
    execute_many(
        connection,
        "INSERT INTO token_creation (token_id, tx_id) VALUES ({}, {})",
        [(id_, id_) for id_ in ids],
    )
    sql = (
        "INSERT INTO wallet (id, xpubkey, auth_xpubkey, status, created_at) VALUES ({}, 'x', 'x', 'ready', 1)"
    )
    execute(connection, sql, WALLET)
    sql = "INSERT INTO push_devices (device_id, push_provider, wallet_id, enable_push) VALUES ({}, 'android', {}, 1)"
    execute(connection, sql, "d" * 256, WALLET)
    execute(connection, "INSERT INTO version_data (timestamp, data) VALUES (1, 'old')")


def insert_rocket(connection: Connection) -> None:
    execute(connection, "INSERT INTO token (id, name, symbol) VALUES ('rocket', {}, {})", ROCKET, SYMBOL)


def rocket_events() -> list[Event]:
    """A recorded stream in which a token is made, under another name."""
    frames = json.loads((VECTORS / "events" / "TOKEN_CREATED.json").read_text())
    for frame in frames:
        data = frame["event"]["data"]
        if frame["event"]["type"] == "TOKEN_CREATED":
            data |= {"token_name": ROCKET, "token_symbol": SYMBOL}
    return read_frames(json.dumps(frame).encode() for frame in frames)


def token_rows(connection: Connection) -> list[tuple[object, ...]]:
    return [tuple(row) for row in execute(connection, "SELECT id, name, symbol FROM token ORDER BY id")]


@pytest.mark.parametrize("charset", SMALL)
async def test_tables_in_a_small_character_set_take_any_text_after_adoption(
    mariadb: MariaDB, charset: str
) -> None:
    database = Database(mariadb.new_database(charset=charset))
    await database.write(partial(fill, name=SMALL[charset]))
    with pytest.raises(UnfitValue):
        await database.write(insert_rocket)
    before = await database.read(token_rows)

    (step,) = (each for each in (await plan(database, [HATHOR])).steps if each.revision == "hathor_0004")
    assert [note.partition(":")[0] for note in step.notes] == ["push_devices", "token", "version_data"]
    assert all(word in step.notes[1] for word in ("name", "symbol", charset, "rows"))
    assert [statement.split()[:3] for statement in step.statements] == [
        ["ALTER", "TABLE", f"`{table}`"] for table in ("push_devices", "token", "version_data")
    ]
    with pytest.raises(UnfitValue):
        await database.write(insert_rocket)  # the plan changed nothing

    await prepare(database)
    assert await database.read(lambda connection: narrow_columns(connection, tables.metadata)) == []
    kept = [row for row in await database.read(token_rows) if row[0] != "00"]
    assert kept == before
    await apply(database, rocket_events(), window=10)
    names = {row[1:] for row in await database.read(token_rows)}
    assert (ROCKET, SYMBOL) in names
    await database.write(keys_hold)
    await database.close()


def keys_hold(connection: Connection) -> None:
    """The foreign key still takes a token's creation away with it, and the index is still there."""
    execute(connection, "DELETE FROM token WHERE id = {}", f"{1:064x}")
    assert execute(connection, "SELECT 1 FROM token_creation WHERE token_id = {}", f"{1:064x}") == []
    assert execute(connection, "SHOW INDEX FROM token WHERE Key_name = 'token_name_idx'")


@pytest.mark.parametrize("charset", [*SMALL, "utf8mb4"])
async def test_devices_keep_their_ids_to_the_letter_after_adoption(mariadb: MariaDB, charset: str) -> None:
    database = Database(mariadb.new_database(charset=charset))
    await database.write(partial(fill, name="Coin"))
    await prepare(database)
    ids = ["fcm:Abc", "fcm:aBC", f"{ROCKET}" + "x" * 200, "d" * 256]
    for device_id in ids:
        device = Device(id=device_id, wallet_id=WALLET, provider="ios", enable_push=True, show_amounts=False)
        await database.write(partial(register_device, device=device))
    for device_id in ids:
        found = await database.read(partial(find_device, device_id=device_id, wallet_id=WALLET))
        assert found is not None
        assert (found.id, found.provider) == (device_id, "ios")
    await database.close()


async def test_a_new_database_of_a_server_with_a_small_character_set_takes_any_text(mariadb: MariaDB) -> None:
    database = Database(mariadb.new_database(charset="latin1"))
    await prepare(database)
    await apply(database, rocket_events(), window=10)
    data = json.dumps({"native_token": {"name": ROCKET}}, ensure_ascii=False)
    await database.write(
        lambda c: c.execute(tables.version_data.insert(), {"id": 1, "timestamp": 1, "data": data})
    )
    assert await database.read(lambda c: c.scalar(select(tables.version_data.c.data))) == data
    await database.close()


async def test_devices_of_an_earlier_version_stay(database: Database) -> None:
    await prepare(database)
    await database.write(make_devices_count_seconds)
    await prepare(database)
    device = Device(id="phone", wallet_id=WALLET, provider="ios", enable_push=True, show_amounts=False)
    await database.write(partial(register_device, device=device))
    for device_id in ("phone", "old"):
        assert await database.read(partial(find_device, device_id=device_id, wallet_id=WALLET)) is not None


def make_devices_count_seconds(connection: Connection) -> None:
    """The tables and the version as they were before the fifth revision."""
    execute(connection, "DROP TABLE push_devices")
    create = """
    CREATE TABLE push_devices (device_id VARCHAR(256) PRIMARY KEY, push_provider VARCHAR(7) NOT NULL,
     wallet_id VARCHAR(64) NOT NULL, enable_push BOOLEAN NOT NULL DEFAULT 0,
     enable_show_amounts BOOLEAN NOT NULL DEFAULT 0, updated_at BIGINT NOT NULL)
    """
    execute(connection, create)
    execute(connection, "CREATE INDEX push_devices_wallet_idx ON push_devices (wallet_id)")
    execute(connection, "INSERT INTO push_devices VALUES ('old', 'ios', {}, 1, 0, 1700000000)", WALLET)
    for index in tables.wallet.indexes:
        index.drop(connection)
    execute(connection, "UPDATE strongroom_version_hathor SET version_num = 'hathor_0003'")
