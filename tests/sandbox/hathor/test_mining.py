"""The sandbox mines what wallets send it, as a tx-mining-service does; the node then takes it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from sandbox.hathor.test_node import KEY, draft
from strongroom.core.clock import SystemClock
from strongroom.hathor.protocol.addresses import MAINNET
from strongroom.hathor.protocol.signatures import sign_input
from strongroom.hathor.protocol.transactions import Transaction
from strongroom.hathor.protocol.work import minimum_weight, verify_work
from strongroom_sandbox.hathor.node import WEIGHTS, Node, new_node
from support.hathor.running import serving_node

pytestmark = pytest.mark.anyio


@pytest.fixture
def node() -> Node:
    return new_node(SystemClock(), MAINNET)


@pytest.fixture
async def mining(node: Node) -> AsyncIterator[aiohttp.ClientSession]:
    async with (
        serving_node(node) as url,
        aiohttp.ClientSession(base_url=url.removesuffix("v1a/") + "tx-mining/") as session,
    ):
        yield session


def signed(node: Node, weight: float | None = None) -> Transaction:
    """As wallets send it: without parents, nonce and time."""
    bare = replace(draft(node, 1_000), parents=(), timestamp_s=0)
    whole = bare.with_input_data((sign_input(bare.signing_digest(), KEY),))
    return replace(whole, weight=minimum_weight(whole, WEIGHTS) if weight is None else weight)


async def submit(session: aiohttp.ClientSession, transaction: Transaction, **more: Any) -> dict[str, Any]:
    body = {"tx": transaction.encode().hex(), "propagate": False, "add_parents": True, **more}
    async with session.post("submit-job", json=body) as answer:
        document: dict[str, Any] = await answer.json()
        return document


async def finished(session: aiohttp.ClientSession, job_id: str) -> dict[str, Any]:
    while True:
        async with session.get("job-status", params={"job-id": job_id}) as answer:
            document: dict[str, Any] = await answer.json()
        if document["status"] != "mining":
            return document


async def test_the_node_takes_what_was_mined(mining: aiohttp.ClientSession, node: Node) -> None:
    transaction = signed(node)
    job = await submit(mining, transaction)
    assert (job["success"], job["expected_total_time"]) == (True, 0)
    done = await finished(mining, job["job_id"])
    mined = replace(
        transaction,
        nonce=int(done["tx"]["nonce"], 16),
        parents=tuple(map(bytes.fromhex, done["tx"]["parents"])),
        timestamp_s=done["tx"]["timestamp"],
        weight=done["tx"]["weight"],
    )
    verify_work(mined)
    assert node.push(mined.encode()).live


async def test_it_sends_what_it_is_asked_to_send(mining: aiohttp.ClientSession, node: Node) -> None:
    transaction = signed(node)
    job = await submit(mining, transaction, propagate=True)
    assert (await finished(mining, job["job_id"]))["status"] == "done"
    assert any(
        vertex.inputs == [(transaction.inputs[0].tx_id.hex(), 0)] for vertex in node.chain.vertices.values()
    )
    again = await submit(mining, transaction, propagate=True)
    failed = await finished(mining, again["job_id"])
    assert (failed["status"], failed["message"]) == ("failed", "Transaction already exists")


async def test_what_it_cannot_mine_is_refused(mining: aiohttp.ClientSession, node: Node) -> None:
    heavy = await submit(mining, signed(node, weight=60))
    assert heavy == {"error": "invalid-tx", "message": "Weight 60.0 is more than 24.0"}
    async with mining.post("submit-job", json={"tx": "zz"}) as answer:
        assert answer.status == 400
    async with mining.get("job-status", params={"job-id": "job-9"}) as answer:
        assert (answer.status, await answer.json()) == (404, {"error": "job-not-found"})


async def test_a_job_can_be_cancelled(mining: aiohttp.ClientSession, node: Node) -> None:
    job = await submit(mining, signed(node, weight=20))
    async with mining.post("cancel-job", json={"job-id": job["job_id"]}) as answer:
        assert answer.status == 200
    assert (await finished(mining, job["job_id"]))["status"] in {"cancelled", "done"}
