"""Weights over the whole way: HTTP, database, a node's JSON-RPC, blocks."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy.engine import URL

from support.bittensor.live_node import NETUID, LiveNode, live_node, new_node
from support.bittensor_service import (
    HOT,
    HOTKEY,
    WALLET,
    BittensorService,
    database_variables,
    import_validator,
    running_bittensor,
)
from support.waiting import eventually

UIDS, VALUES = [0, 1, 2], [100, 200, 300]
UPSCALED = [(0, 21845), (1, 43690), (2, 65535)]
OTHERS = [bytes([number]) * 32 for number in (1, 2, 3)]


def body(**more: Any) -> dict[str, Any]:
    data = {"netuid": NETUID, "uids": UIDS, "weights": VALUES, "version_key": 1} | more
    return {"wallet_name": WALLET, "hotkey_name": HOTKEY, "transaction_data": data}


@pytest.fixture(params=[293, 424])
async def node(request: pytest.FixtureRequest) -> AsyncIterator[LiveNode]:
    async with live_node(new_node(request.param, [HOT.public_key, *OTHERS])) as live:
        yield live


@pytest.fixture
async def service(node: LiveNode, database_url: URL, tmp_path: Path) -> AsyncIterator[BittensorService]:
    variables = database_variables(database_url, tmp_path) | {"chain_endpoint": node.url}
    async with running_bittensor(variables) as running:
        await import_validator(running)
        yield running


def set_weights(
    service: BittensorService, headers: dict[str, str] | None = None, **more: Any
) -> asyncio.Task[httpx2.Response]:
    return asyncio.create_task(service.client.post("/wallet/set_weights", json=body(**more), headers=headers))


async def pooled(node: LiveNode, count: int = 1) -> None:
    await eventually(lambda: len(node.node.pool.waiting) == count)


async def test_the_documents_example_is_submitted_and_included(
    node: LiveNode, service: BittensorService
) -> None:
    response = await set_weights(service)
    answer = response.json()
    assert response.status_code == 200, answer
    assert answer == {
        "success": True,
        "message": "Submitted. Not waiting for finalization or inclusion.",
        "extrinsic_hash": answer["extrinsic_hash"],
        "block_hash": None,
        "block_number": None,
        "extrinsic_index": None,
        "fee": None,
        "error": None,
        "blocks_to_wait": None,
        "job_id": answer["job_id"],
    }
    assert [f"0x{waiting.hex()}" for waiting in node.node.pool.waiting] == [answer["extrinsic_hash"]]
    node.produce()
    assert node.weights(0) == UPSCALED


async def test_waiting_for_a_final_block_tells_where_it_is(node: LiveNode, service: BittensorService) -> None:
    asked = set_weights(service, wait_for_finalization=True)
    await pooled(node)
    node.produce()
    answer = (await asked).json()
    block = node.node.chain.head
    assert answer["success"] is True
    assert answer["block_hash"] == f"0x{block.hash.hex()}"
    assert (answer["block_number"], answer["extrinsic_index"], answer["fee"]) == (block.number, 1, 0)
    job = (await service.client.get(f"/wallet/jobs/{answer['job_id']}")).json()
    assert job["status"] == "final"
    assert job["result"] == answer
