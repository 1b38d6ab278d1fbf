"""Wallets are told of their transactions through the outbox: with the commit, never before."""

import json
from typing import Any

import pytest

from strongroom.core.clock import SystemClock
from strongroom.core.storage.database import Database
from strongroom.hathor.protocol.addresses import MAINNET, parse_address
from strongroom.hathor.protocol.scripts import Payment
from strongroom.hathor.sync.batch import apply_batch
from strongroom.hathor.wallets.loading import load_wallet
from strongroom_sandbox.hathor.vertices import Output, read_output
from support.hathor.scenes import NOW_S, RULES, Scene, pay
from support.hathor.streams import OUTBOX, prepare
from support.hathor.wallets import WALLET, insert_wallet, wallet_addresses
from support.sql import execute


def own(index: int, value: int) -> Output:
    address = parse_address(wallet_addresses(20)[index], MAINNET)
    return read_output(value, 0, Payment(address=address).encode(), MAINNET)


async def told(database: Database) -> list[tuple[str, str, bool, int | None]]:
    """Kind, transaction, voided and height of the messages so far."""
    sql = (
        "SELECT stream, payload FROM strongroom_outbox WHERE destination = 'hathor.wallets' ORDER BY sequence"
    )
    rows = await database.read(lambda c: execute(c, sql))
    assert {row[0] for row in rows} <= {WALLET}
    bodies: list[dict[str, Any]] = [json.loads(row[1]) for row in rows]
    return [(b["type"], b["data"]["tx_id"], b["data"]["voided"], b["data"]["height"]) for b in bodies]


async def scene_with_wallet(database: Database) -> Scene:
    await prepare(database)
    await database.write(insert_wallet)
    await load_wallet(database, SystemClock(), MAINNET, WALLET)
    scene = Scene(database)
    for _ in range(4):
        scene.block()
    await scene.sync()
    return scene


async def test_new_confirmed_and_voided_transactions_are_told(database: Database) -> None:
    scene = await scene_with_wallet(database)
    assert await told(database) == []
    paid = scene.send([scene.genesis], [own(0, 600), pay("stranger", 400)])
    await scene.sync()
    new = ("new-tx", paid.hash, False, None)
    assert await told(database) == [new]
    scene.block()
    await scene.sync()
    confirmed = ("update-tx", paid.hash, False, 0)
    assert await told(database) == [new, confirmed]
    scene.chain.void(paid)
    await scene.sync()
    assert (await told(database))[2][:3] == ("update-tx", paid.hash, True)


async def test_what_comes_together_is_told_in_the_order_in_which_it_came(database: Database) -> None:
    scene = await scene_with_wallet(database)
    spent, sent = scene.genesis, []
    for value in range(1, 31):
        left = scene.chain.output(spent).value - value
        vertex = scene.send([spent], [pay("stranger", left), own(0, value)])
        spent = (vertex.hash, 0)
        sent.append(vertex.hash)
    await scene.sync(window=200)
    rows = await database.read(lambda c: execute(c, "SELECT payload FROM strongroom_outbox ORDER BY id"))
    assert [json.loads(row[0])["data"]["tx_id"] for row in rows] == sent


async def test_a_message_is_the_whole_transaction(database: Database) -> None:
    scene = await scene_with_wallet(database)
    paid = scene.send([scene.genesis], [own(0, 600), Output(value=400, token_data=0, script=b"\x51")])
    spent = scene.send([(paid.hash, 0)], [own(1, 600)])
    await scene.sync()
    rows = await database.read(
        lambda c: execute(c, "SELECT payload FROM strongroom_outbox ORDER BY sequence")
    )
    first, second = (json.loads(row[0])["data"] for row in rows)
    addresses = wallet_addresses(2)
    assert [output["index"] for output in first["outputs"]] == [0]  # nobody owns the other
    assert first["outputs"][0]["decoded"] == {"type": "P2PKH", "address": addresses[0], "timelock": None}
    assert second == {
        "tx_id": spent.hash,
        "nonce": 0,
        "timestamp": spent.timestamp_s,
        "version": 1,
        "voided": False,
        "weight": 1.0,
        "parents": [],
        "inputs": [
            {
                "tx_id": paid.hash,
                "index": 0,
                "value": 600,
                "token_data": 0,
                "script": {"type": "Buffer", "data": list(paid.outputs[0].script)},
                "token": "00",
                "decoded": {"type": "P2PKH", "address": addresses[0], "timelock": None},
            }
        ],
        "outputs": [
            {
                "value": 600,
                "tokenData": 0,
                "token_data": 0,
                "script": {"type": "Buffer", "data": list(spent.outputs[0].script)},
                "decodedScript": None,
                "token": "00",
                "locked": False,
                "index": 0,
                "decoded": {"type": "P2PKH", "address": addresses[1], "timelock": None},
            }
        ],
        "headers": [],
        "height": None,
        "token_name": None,
        "token_symbol": None,
        "signal_bits": 0,
        "shielded_outputs": [],
        "addresses": sorted(addresses),
    }


async def test_nothing_is_told_of_what_was_rolled_back(database: Database) -> None:
    scene = await scene_with_wallet(database)
    scene.send([scene.genesis], [own(0, 1_000)])
    events = scene.events()

    def fail(connection: Any) -> None:
        apply_batch(connection, events, RULES, OUTBOX, NOW_S)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await database.write(fail)
    assert await told(database) == []
