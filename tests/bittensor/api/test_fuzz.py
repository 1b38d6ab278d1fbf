"""Whatever the OpenAPI document allows, and much that it does not, is answered as it says, and never with 500."""

from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from support.bittensor.live_node import NETUID, live_node, new_node
from support.bittensor_service import (
    HOT,
    BittensorService,
    database_variables,
    import_validator,
    running_bittensor,
)
from support.fuzzing import fuzz
from support.odd_text import ask_oddly
from support.trail import verify


async def ask_anything(service: BittensorService, folder: Path, *, seconds: int) -> None:
    headers = await service.token(
        calls=("weights", "Balances.transfer_keep_alive", "SubtensorModule.serve_axon"),
        coldkey=True,
        any_text=True,
    )
    known: dict[str, list[str | int]] = {
        "wallet_name": ["validator"],
        "hotkey_name": ["default"],
        "destination": [HOT.address],
        "netuid": [NETUID],
    }
    document = str(service.client.base_url.join("/openapi.json"))
    await fuzz(document, folder, seconds=seconds, known=known, headers=headers)


async def fuzzed(folder: Path, seconds: int) -> None:
    url = URL.create("sqlite", database=str(folder / "bittensor.sqlite3"))
    async with live_node(new_node(424, [HOT.public_key], interval_ms=200)) as node:
        variables = database_variables(url, folder) | {
            "chain_endpoint": node.url,
            "BITTENSOR_REQUESTS_A_MINUTE": "1000000",
        }
        async with running_bittensor(variables) as service:
            await import_validator(service)
            await ask_anything(service, folder, seconds=seconds)
            defects = service.metrics.registry.get_sample_value(
                "strongroom_refusals_total", {"ledger": "bittensor", "code": "internal"}
            )
            assert defects is None
            assert await verify(service.ledger.database, service.ledger.trail_key) > 0
            assert (await service.sign("1763729464123")).status_code == 200


async def test_requests_that_nobody_thought_of(tmp_path: Path) -> None:
    await fuzzed(tmp_path, 8)


@pytest.mark.slow
async def test_many_requests_that_nobody_thought_of(tmp_path: Path) -> None:
    await fuzzed(tmp_path, 90)


async def test_text_that_no_column_holds_is_no_defect(database_url: URL, tmp_path: Path) -> None:
    async with live_node(new_node(424, [HOT.public_key], interval_ms=200)) as node:
        variables = database_variables(database_url, tmp_path) | {
            "chain_endpoint": node.url,
            "BITTENSOR_REQUESTS_A_MINUTE": "1000000",
        }
        async with running_bittensor(variables) as service:
            await import_validator(service)
            headers = await service.token(calls=("weights",), coldkey=True, any_text=True)
            document = (await service.client.get("/openapi.json")).json()
            known = {"wallet_name": "validator", "hotkey_name": "default", "netuid": str(NETUID)}
            count, defects = await ask_oddly(
                service.client, document, known=known, bodies={}, headers=headers
            )
            assert (count > 20, defects) == (True, [])
