"""Other weights after those that are in a block and not final yet: the subnet's own limit decides, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import URL

from strongroom.core.storage.database import sqlite_url
from strongroom_sandbox.bittensor.node.faults import Refusal
from support.bittensor.live_node import LiveNode, live_node, new_node
from support.bittensor.weighing import (
    OTHERS,
    Hurried,
    body,
    pooled,
    reaches,
    set_weights,
    settled,
)
from support.bittensor_service import (
    HOT,
    BittensorService,
    database_variables,
    import_validator,
    running_bittensor,
)
from support.mariadb import MariaDB

FIRST, SECOND, THIRD = [100, 200, 300], [3, 2, 1], [1, 1, 1]
SECOND_STORED = [(0, 65535), (1, 43690), (2, 21845)]


@pytest.fixture(params=["sqlite", "mariadb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    if request.param == "sqlite":
        return sqlite_url(str(tmp_path / "test.sqlite3"))
    server: MariaDB = request.getfixturevalue("mariadb")
    return server.new_database()


@pytest.fixture
async def node() -> AsyncIterator[LiveNode]:
    """Its blocks do not become final before a test says so."""
    async with live_node(new_node(424, [HOT.public_key, *OTHERS])) as live:
        live.change(WeightsSetRateLimit=0)
        live.node.production.finality_stalled = True
        yield live


@pytest.fixture
async def service(node: LiveNode, database_url: URL, tmp_path: Path) -> AsyncIterator[BittensorService]:
    variables = database_variables(database_url, tmp_path) | {"chain_endpoint": node.url}
    async with running_bittensor(variables, clock=Hurried()) as running:
        await import_validator(running)
        yield running


async def included(node: LiveNode, service: BittensorService, weights: list[int]) -> dict[str, Any]:
    asked = set_weights(service, weights=weights, wait_for_inclusion=True)
    await pooled(node)
    node.produce()
    answer: dict[str, Any] = (await asked).json()
    assert answer["success"] is True, answer
    return answer


def nonces(node: LiveNode) -> list[int]:
    return sorted(entry.extrinsic.nonce for entry in node.node.pool.waiting.values())


async def test_they_are_set_as_soon_as_the_first_are_in_a_block(
    node: LiveNode, service: BittensorService
) -> None:
    first = await included(node, service, FIRST)
    second = await included(node, service, SECOND)
    assert second["extrinsic_hash"] != first["extrinsic_hash"]
    assert node.weights(0) == SECOND_STORED
    node.node.production.finality_stalled = False
    node.produce(2)
    for answer in (first, second):
        assert (await reaches(service, answer["job_id"], "final"))["result"]["success"] is True


async def test_not_before_they_are_in_a_block(node: LiveNode, service: BittensorService) -> None:
    await set_weights(service, weights=FIRST)
    refused = await set_weights(service, weights=SECOND)
    assert (refused.status_code, refused.json()["code"]) == (409, "weights_in_flight")
    assert nonces(node) == [0]


async def test_not_before_the_subnet_s_limit_allows_them(node: LiveNode, service: BittensorService) -> None:
    node.change(WeightsSetRateLimit=3)
    await included(node, service, FIRST)
    told = (await set_weights(service, weights=SECOND)).json()
    assert (told["success"], told["error"]["name"], told["blocks_to_wait"]) == (False, "TooSoon", 2)
    node.produce(2)
    await included(node, service, SECOND)
    assert node.weights(0) == SECOND_STORED


async def test_a_fork_that_takes_both_back_leaves_their_order(
    node: LiveNode, service: BittensorService
) -> None:
    first = await included(node, service, FIRST)
    second = (await set_weights(service, weights=SECOND)).json()
    node.node.fork(1, 2, empty=2)
    await reaches(service, first["job_id"], "pooled")
    assert nonces(node) == [0, 1]
    refused = await set_weights(service, weights=THIRD)
    assert refused.json()["code"] == "weights_in_flight"
    node.produce()
    node.node.production.finality_stalled = False
    node.produce(2)
    for answer in (first, second):
        assert (await reaches(service, answer["job_id"], "final"))["result"]["success"] is True
    assert node.weights(0) == SECOND_STORED


async def test_weights_whose_block_vanished_do_not_come_back_after_newer_ones(
    node: LiveNode, service: BittensorService
) -> None:
    """A job of the background is signed again when its era is over: not so when others were asked for since."""
    accepted = await service.client.post("/wallet/set_weights", json=body(weights=FIRST) | {"async": True})
    first = accepted.json()["job_id"]
    await pooled(node)
    node.produce()
    await reaches(service, first, "in_block")
    accepted = await service.client.post("/wallet/set_weights", json=body(weights=SECOND) | {"async": True})
    second = accepted.json()["job_id"]
    await pooled(node)
    node.node.fork(1, 2, empty=2)
    node.node.faults.refusal = Refusal(method="author_submitExtrinsic", code=-32603, message="no", count=999)
    node.node.drop_pool()
    node.node.production.finality_stalled = False
    node.produce(40)
    found = await settled(service, first)
    assert found["result"]["error"]["name"] == "Expired"
    node.node.faults.refusal = None
    await pooled(node)
    assert nonces(node) == [0]
    node.produce(3)
    assert (await settled(service, second))["result"]["success"] is True
    assert node.weights(0) == SECOND_STORED


async def test_one_of_two_follows(node: LiveNode, service: BittensorService) -> None:
    await included(node, service, FIRST)
    answers = await asyncio.gather(set_weights(service, weights=SECOND), set_weights(service, weights=THIRD))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert nonces(node) == [1]


async def test_two_at_once_are_accepted_for_the_background_once(
    node: LiveNode, service: BittensorService
) -> None:
    await included(node, service, FIRST)
    path = "/wallet/set_weights"
    answers = await asyncio.gather(
        *(service.client.post(path, json=body(weights=w) | {"async": True}) for w in (SECOND, THIRD))
    )
    assert sorted(answer.status_code for answer in answers) == [202, 409]
