"""A database of hathor-wallet-service is taken over and given back, killed at every statement, and the original goes on in it."""

import json
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, text

from strongroom.core.clock import SystemClock
from strongroom.core.storage.adoption.record import write_record
from strongroom.core.storage.adoption.returning import differences, give_back, plan_return, require_record
from strongroom.core.storage.adoption.survey import survey
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import DatabaseRefused
from strongroom.core.storage.migrations import migrate
from strongroom.core.storage.schema import SchemaUnfit
from strongroom.hathor.original import HathorWalletService
from strongroom.hathor.protocol.events import Event
from support.adopted import snapshot
from support.hathor.original import fill
from support.hathor.streams import HATHOR, VECTORS, apply, prepare, read_frames, scenario
from support.killed_migrations import run_by_kills
from support.mariadb import MariaDB
from support.sql import execute

pytestmark = pytest.mark.anyio
ORIGINAL = HathorWalletService()
NAME = "SINGLE_CHAIN_BLOCKS_AND_TRANSACTIONS"
SPENT = 3400
REWARD = 6400
NEWEST = "20260629100000-remove-total-supply-and-unused-tx-output-indexes.js"


def fill_original(connection: Connection) -> None:
    """With the history of its migrations, and outputs that its proposals hold: one open, one sent, one long cancelled."""
    fill(connection, NAME)
    execute(connection, "CREATE TABLE `SequelizeMeta` (name VARCHAR(255) NOT NULL PRIMARY KEY)")
    for name in ("20210706163010-create-address.js", NEWEST):
        execute(connection, "INSERT INTO `SequelizeMeta` VALUES ({})", name)
    execute(
        connection,
        "INSERT INTO wallet (id, xpubkey, auth_xpubkey, status, created_at) VALUES ('w', 'x', 'x', 'ready', 1)",
    )
    execute(
        connection,
        "INSERT INTO push_devices (device_id, push_provider, wallet_id) VALUES ('phone', 'ios', 'w')",
    )
    outputs = execute(connection, "SELECT tx_id, `index` FROM tx_output WHERE spent_by IS NULL LIMIT 3")
    for status, (tx_id, index) in zip(("open", "sent", "cancelled"), outputs, strict=True):
        execute(connection, "INSERT INTO tx_proposal VALUES ({}, 'w', {}, 1, 1)", status, status)
        sql = "UPDATE tx_output SET tx_proposal = {}, tx_proposal_index = 0 WHERE tx_id = {} AND `index` = {}"
        execute(connection, sql, status, tx_id, index)


async def adopt(database: Database) -> None:
    now_ms = SystemClock().now_ms()
    await database.write(partial(write_record, ledger="hathor", original=ORIGINAL, now_ms=now_ms))
    await migrate(database, [HATHOR])


async def revert(database: Database) -> None:
    await database.write(partial(give_back, ledger="hathor", original=ORIGINAL), answer_s=None)


@pytest.mark.slow  # some hundred runs; the tests below take the way without kills
async def test_a_database_comes_back_as_it_was_whatever_is_killed(mariadb: MariaDB) -> None:
    url = mariadb.new_database(charset="latin1")
    database = Database(url)
    await database.write(fill_original)
    before = await database.read(snapshot)
    assert (await database.read(partial(survey, original=ORIGINAL))).original == f"migration {NEWEST[:-3]}"
    await database.close()

    assert await run_by_kills(url, adopt) > 20
    database = Database(url)
    assert (
        await database.read(
            lambda c: c.scalar(text("SELECT COUNT(*) FROM tx_output WHERE tx_proposal = 'cancelled'"))
        )
        == 0
    )
    record = await database.read(partial(require_record, ledger="hathor"))
    way = await database.read(lambda c: plan_return(c, "hathor", ORIGINAL, 0))
    assert (dict(way.staying), way.obstacles) == ({}, ())
    assert {"ALTER", "DROP"} == {statement.split()[0] for statement in way.statements}
    await database.close()

    runs = 0

    async def revert_in_part(database: Database) -> None:
        nonlocal runs
        runs += 1
        if not await database.read(partial(differences, record=record)):
            return
        if runs > 1:
            with pytest.raises(SchemaUnfit, match="is being given back"):
                await migrate(database, [HATHOR])
        await revert(database)

    assert await run_by_kills(url, revert_in_part) > 20
    database = Database(url)
    assert await database.read(snapshot) == before
    await database.close()


async def test_the_original_goes_on_after_events_that_this_service_has_synced(mariadb: MariaDB) -> None:
    database = Database(mariadb.new_database())
    await database.write(fill_original)
    before = await database.read(snapshot)
    await adopt(database)
    old_height, old_event, old = await database.read(standing)
    payer, payee, events = later_events()
    events = [*(event for event in scenario(NAME) if event.id > old_event), *events]
    await apply(database, events, window=10)
    height, last_event, balances = new = await database.read(standing)
    assert (height, last_event) == (old_height + 1, events[-1].id)
    changed = {who: balance - old.get(who, 0) for who, balance in balances.items()}
    assert {who: by for who, by in changed.items() if by} == {payer: -SPENT, payee: SPENT + REWARD}
    worked = await database.read(snapshot)
    await revert(database)
    after = await database.read(snapshot)
    assert after.schema == before.schema
    assert await database.read(standing) == new
    for table in ("transaction", "address", "sync_metadata", "SequelizeMeta", "push_devices", "wallet"):
        assert after.rows[table] == worked.rows[table], table
    assert after.rows["SequelizeMeta"] == before.rows["SequelizeMeta"]
    await database.write(go_on_as_the_original)
    await adopt(database)  # and in again
    await prepare(database)
    await database.close()


def later_events() -> tuple[str, str, list[Event]]:
    """What the node sends after the recorded stream: a payment of the last transaction's first output, and a block with a reward.

    Returns who pays, who gets both, and the events.
    """
    frames = json.loads((VECTORS / "events" / f"{NAME}.json").read_text())
    block, paid = (
        next(
            frame
            for frame in reversed(frames)
            if frame["event"]["type"] == "NEW_VERTEX_ACCEPTED"
            and frame["event"]["data"]["version"] == version
        )
        for version in (0, 1)
    )
    number, spent = frames[-1]["event"]["id"], paid["event"]["data"]["outputs"][0]
    height = block["event"]["data"]["metadata"]["height"] + 1
    (reward,) = block["event"]["data"]["outputs"]
    assert (spent["value"], reward["value"]) == (SPENT, REWARD)
    spending = [{"tx_id": paid["event"]["data"]["hash"], "index": 0, "spent_output": spent}]
    gained = reward | {"value": SPENT}
    frames = [
        _frame(paid, number + 1, "d" * 64, inputs=spending, outputs=[gained]),
        _frame(block, number + 2, "b" * 64, height=height),
    ]
    payer, payee = (output["decoded"]["address"] for output in (spent, reward))
    return payer, payee, read_frames(json.dumps(frame).encode() for frame in frames)


def _frame(like: dict[str, Any], number: int, name: str, *, height: int = 0, **data: Any) -> dict[str, Any]:
    """A frame of a vertex like this one, that is new."""
    vertex = like["event"]["data"]
    metadata = vertex["metadata"] | {"hash": name, "height": height, "spent_outputs": [], "first_block": None}
    event = like["event"] | {"id": number, "data": vertex | data | {"hash": name, "metadata": metadata}}
    return like | {"event": event, "latest_event_id": number}


def standing(connection: Connection) -> tuple[int, int, dict[str, int]]:
    """The height, the last event, and what each address has."""
    ((height,),) = execute(connection, "SELECT MAX(height) FROM `transaction`")
    ((event,),) = execute(connection, "SELECT last_event_id FROM sync_metadata")
    balances = execute(
        connection,
        "SELECT address, unlocked_balance + locked_balance FROM address_balance WHERE token_id = '00'",
    )
    return int(height), int(event), {who: int(balance) for who, balance in balances}


def go_on_as_the_original(connection: Connection) -> None:
    """Statements of the kinds that its daemon and its API send."""
    tx, who = "f" * 64, "H" * 34
    run = partial(execute, connection)
    for height in (7, 8):
        sql = "INSERT INTO `transaction` (tx_id, height, timestamp, version, weight, first_block) VALUES ({}, {}, 1, 1, 1.5, NULL) ON DUPLICATE KEY UPDATE height = {}"
        run(sql, tx, height, height)
        sql = "INSERT INTO address (address, transactions) VALUES ({}, 1) ON DUPLICATE KEY UPDATE transactions = transactions + 1"
        run(sql, who)
    run(
        "INSERT INTO tx_output (tx_id, `index`, token_id, address, value, authorities, locked) VALUES ({}, 0, '00', {}, {}, 0, 0) ON DUPLICATE KEY UPDATE tx_id = tx_id",
        tx,
        who,
        2**63,
    )
    balance = "INSERT INTO address_balance (address, token_id, unlocked_balance, locked_balance, transactions, total_received) VALUES ({}, '00', 5, 0, 1, 5) ON DUPLICATE KEY UPDATE total_received = total_received + 5, unlocked_balance = unlocked_balance + 5"
    run(balance, who)
    run(balance, who)
    run(
        "INSERT INTO address_tx_history (address, tx_id, token_id, balance, timestamp) VALUES ({}, {}, '00', -5, 1)",
        who,
        tx,
    )
    run(
        "INSERT INTO wallet_balance (wallet_id, token_id, unlocked_balance, locked_balance, transactions) VALUES ('w', '00', 5, 0, 1)"
    )
    run(
        "INSERT INTO push_devices (device_id, push_provider, wallet_id) VALUES ('PHONE', 'android', 'w') ON DUPLICATE KEY UPDATE push_provider = 'android'"
    )
    run(
        "INSERT INTO sync_metadata (id, last_event_id, updated_at) VALUES (0, 99, 'now') ON DUPLICATE KEY UPDATE last_event_id = 99"
    )
    run("UPDATE tx_proposal SET status = 'send_error' WHERE id = 'open'")
    assert run("SELECT height FROM `transaction` WHERE tx_id = {}", tx) == [(8,)]
    assert run("SELECT unlocked_balance, total_received FROM address_balance WHERE address = {}", who) == [
        (10, 10)
    ]
    assert type(run("SELECT unlocked_balance FROM address_balance WHERE address = {}", who)[0][0]) is int
    assert run("SELECT device_id, push_provider FROM push_devices") == [("phone", "android")]
    with pytest.raises(DatabaseRefused):  # the foreign key is there again
        run("INSERT INTO push_devices (device_id, push_provider, wallet_id) VALUES ('x', 'ios', 'nobody')")


async def test_what_the_original_cannot_store_stays_and_open_payments_stop_the_way_back(
    mariadb: MariaDB,
) -> None:
    database = Database(mariadb.new_database(charset="latin1"))
    await database.write(fill_original)
    await adopt(database)

    def change(connection: Connection) -> None:
        execute(connection, "INSERT INTO token (id, name, symbol) VALUES ('rocket', {}, 'R')", "🚀")
        sql = "INSERT INTO wallet_balance (wallet_id, token_id, unlocked_balance, transactions) VALUES ('w', '00', {}, 1)"
        execute(connection, sql, 2**64)
        columns = (
            "id, account, slot, kind, payload, principal, request, stage, outcome, attempts, created_at_ms"
        )
        values = "'i', 'w', 's', 'TRANSACTION', 'p', 'wallet:w', '{}', 'sending', 'OPEN', 1, 1"
        connection.exec_driver_sql(f"INSERT INTO strongroom_intent ({columns}) VALUES ({values})")  # noqa: S608 - the test's own

    await database.write(change)
    way = await database.read(lambda c: plan_return(c, "hathor", ORIGINAL, 0))
    assert dict(way.staying) == {
        "token.name": "1 rows have text that latin1 cannot store",
        "wallet_balance.unlocked_balance": "1 sums are larger than the original can store",
    }
    assert [words for words in way.obstacles if "the outcome of 1 signed payments is open" in words]
    await revert(database)
    assert await database.read(lambda c: execute(c, "SELECT name FROM token WHERE id = 'rocket'")) == [
        ("🚀",)
    ]
    assert await database.read(lambda c: execute(c, "SELECT unlocked_balance FROM wallet_balance")) == [
        (2**64,)
    ]
    await database.close()
