"""Miners, the best block, and how much of a token there is."""

import pytest
from sqlalchemy import Connection

from strongroom.core.storage.database import Database
from strongroom.hathor import tables
from strongroom.hathor.index.supply import BURNT, LIFETIME_S
from strongroom.hathor.protocol.addresses import MAINNET
from support.clock import ManualClock
from support.hathor.api import Api, recorded_rows, serving_api
from support.sql import execute

pytestmark = pytest.mark.anyio

TOKEN = "0000000f1fbb4bd8a8e71735af832be210ac9a6c1e2081b21faeea3c0f5797f7"
OUTPUT = {"index": 0, "token_id": "00", "address": "x", "authorities": 0, "locked": False}


async def _insert(api: Api, *outputs: dict[str, object]) -> None:
    rows = [{**OUTPUT, "tx_id": f"{number:064}", **output} for number, output in enumerate(outputs)]

    def insert(connection: Connection) -> None:
        for row in rows:
            connection.execute(tables.tx_output.insert(), row)

    await api.database.write(insert)


async def test_miners_and_the_best_block(database: Database, clock: ManualClock) -> None:
    async with serving_api(database, clock, rows=recorded_rows()) as api:
        recorded = {"address": "HMinerMinerMinerMinerMinerMinerMi1", "firstBlock": "a" * 64}
        miners = [{**recorded, "lastBlock": "b" * 64, "count": 3}]
        assert await api.get("/miners") == (200, {"success": True, "miners": miners})
        block = {"txId": "a" * 64, "height": 10, "timestamp": 1700000150}
        assert await api.get("/blocks/latest") == (200, {"success": True, "block": block})
        await database.write(lambda c: execute(c, "UPDATE `transaction` SET voided = 1"))
        assert await api.get("/blocks/latest") == (200, {"success": True, "block": None})
        assert (await api.client.get("/miners")).status_code == 401


async def test_the_supply_is_exact_and_leaves_out_what_is_gone(
    database: Database, clock: ManualClock
) -> None:
    async with serving_api(database, clock, rows=recorded_rows()) as api:
        await _insert(
            api,
            {"value": 2**63},
            {"value": 2**63},
            {"value": 2**63 - 1},
            {"value": 5, "spent_by": "f" * 64},
            {"value": 5, "voided": True},
            {"value": 5, "address": BURNT.encode(MAINNET)},
            {"value": 3, "authorities": 3},
        )
        held = 9007199254740993 + 500 + 300 + 7 + 250
        supply = {"success": True, "totalSupply": held + 3 * 2**63 - 1}
        assert await api.get("/tokens/00/supply") == (200, supply)
        assert (await api.get(f"/tokens/{TOKEN}/supply"))[1]["totalSupply"] == 1000
        unknown = await api.get(f"/tokens/{'ab' * 32}/supply")
        details = [{"message": "Token not found"}]
        assert unknown == (404, {"success": False, "error": "token-not-found", "details": details})

        await database.write(lambda c: execute(c, "UPDATE tx_output SET voided = 1"))
        assert await api.get("/tokens/00/supply") == (200, supply)
        clock.advance(LIFETIME_S)
        assert (await api.get("/tokens/00/supply"))[1]["totalSupply"] == 0
