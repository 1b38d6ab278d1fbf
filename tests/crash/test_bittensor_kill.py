"""The service is killed while weights are set; what it signed takes effect once, and its job can be asked for."""

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy.engine import URL

from support.bittensor.live_node import live_node, new_node
from support.bittensor.weighing import OTHERS, UPSCALED, body, pooled
from support.bittensor_service import HOT, database_variables, import_validator, running_bittensor
from support.ports import free_port
from support.processes import strongroom
from support.waiting import PATIENCE_S, eventually

SUBMIT = "author_submitExtrinsic"
KEY = {"Idempotency-Key": "once"}
TOKEN = {"Authorization": "Bearer default-token"}


@pytest.mark.slow
@pytest.mark.parametrize("arrives", [False, True], ids=["before it left", "before the answer"])
async def test_killed_while_it_submits(database_url: URL, tmp_path: Path, *, arrives: bool) -> None:
    async with live_node(new_node(424, [HOT.public_key, *OTHERS])) as node:
        port = free_port()
        variables = database_variables(database_url, tmp_path) | {
            "network": "local",
            "chain_endpoint": node.url,
            "BITTENSOR_PORT": str(port),
            "MANAGEMENT_PORT": "0",
        }
        async with running_bittensor(variables) as service:
            await import_validator(service)
        node.requests.clear()
        async with httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers=TOKEN, timeout=60
        ) as client:
            with await asyncio.to_thread(strongroom, "serve", "bittensor", environment=variables) as first:
                await asyncio.to_thread(first.wait_ready)
                node.node.faults.drop_reply = int(arrives)
                node.deaf_to = "" if arrives else SUBMIT
                asked = asyncio.create_task(client.post("/wallet/set_weights", json=body(), headers=KEY))
                await eventually(lambda: any(SUBMIT in request for request in node.requests))
                await asyncio.to_thread(first.kill)
                with pytest.raises(httpx2.TransportError):
                    await _lost(asked)
            node.deaf_to = ""
            assert len(node.node.pool.waiting) == int(arrives)
            with await asyncio.to_thread(strongroom, "serve", "bittensor", environment=variables) as second:
                await asyncio.to_thread(second.wait_ready)
                await _asked_until_taken(client)
                await pooled(node)
                node.produce()
                job = await _final(client)
                assert job["result"]["success"] is True
    assert node.weights(0) == UPSCALED
    assert node.node.nonce(HOT.public_key) == 1


async def _lost(asked: asyncio.Task[httpx2.Response]) -> None:
    """An answer that came before the process died is one of 504."""
    response = await asked
    if response.json().get("submitted") == "unknown":
        raise httpx2.ReadError("as good as lost")


async def _asked_until_taken(client: httpx2.AsyncClient) -> None:
    """The same request again; what the first process signed may be offered only after a while."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            response = await client.post("/wallet/set_weights", json=body(), headers=KEY)
            if response.status_code == 200:
                return
            await asyncio.sleep(0.5)


async def _final(client: httpx2.AsyncClient) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found: dict[str, Any] = (await client.get("/wallet/jobs/once")).json()
            if found.get("status") == "final":
                return found
            await asyncio.sleep(0.1)
