"""What nodes of real chains do and a chain of one process does not: they prune, fetch blocks, lag, and start anew."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from strongroom.bittensor.protocol.account_calls import serve_axon
from strongroom.bittensor.protocol.eras import Era
from strongroom_sandbox.bittensor.node.faults import Lies
from support.bittensor.live_node import NETUID, LiveNode, new_node
from support.bittensor.weighing import OTHERS, UPSCALED, Hurried, pooled, reaches, set_weights
from support.bittensor_service import (
    HOT,
    BittensorService,
    database_variables,
    import_validator,
    running_bittensor,
)
from support.waiting import eventually

KEY = {"Idempotency-Key": "once"}
MORE_THAN_NODES_KEEP = 300


@pytest.fixture
def variables(node: LiveNode, tmp_path: Path) -> dict[str, str]:
    url = URL.create("sqlite", database=str(tmp_path / "bittensor.sqlite3"))
    return database_variables(url, tmp_path) | {"chain_endpoint": node.url}


@pytest.fixture
async def service(variables: dict[str, str]) -> AsyncIterator[BittensorService]:
    async with running_bittensor(variables, clock=Hurried()) as running:
        await import_validator(running)
        yield running


async def refused(service: BittensorService) -> tuple[int, bool, str]:
    response = await set_weights(service)
    told = response.json()
    return response.status_code, told["submitted"], told["code"]


async def test_a_block_whose_state_was_pruned_ends_the_search(
    node: LiveNode, variables: dict[str, str]
) -> None:
    """The runtime that made it is part of the state: its version cannot be asked for any more, either."""
    async with running_bittensor(variables) as service:
        await import_validator(service)
        await set_weights(service, headers=KEY)
    node.produce(MORE_THAN_NODES_KEEP)
    async with running_bittensor(variables, clock=Hurried()) as service:
        found = await reaches(service, "once", "final")
    assert found["result"]["success"] is None
    assert found["result"]["block_hash"] is not None


async def test_a_node_that_fetches_blocks_is_not_spoken_to(node: LiveNode, variables: dict[str, str]) -> None:
    node.node.faults.lies = Lies(is_syncing=True)
    async with running_bittensor(variables, clock=Hurried()) as service:
        await import_validator(service)
        assert await refused(service) == (503, False, "chain_unavailable")
        node.node.faults.lies = Lies()
        await eventually(lambda: any("chain_getFinalizedHead" in one for one in node.requests))
        assert (await set_weights(service)).json()["success"] is True


async def test_a_chain_that_was_started_anew_is_noticed(node: LiveNode, service: BittensorService) -> None:
    """It has the same genesis: a nonce of the old one would wait in its pool for ever."""
    asked = set_weights(service, wait_for_finalization=True)
    await pooled(node)
    node.produce()
    assert (await asked).json()["success"] is True
    await node.close()
    node.node = new_node(424, [HOT.public_key, *OTHERS])
    await node.open()
    told = (503, False, "chain_unavailable")
    while told[2] == "chain_unavailable":
        told = await refused(service)
    assert told == (503, False, "chain_behind")
    assert not node.node.pool.waiting


async def test_an_account_that_the_chain_removed_begins_at_nonce_0_again(
    node: LiveNode, service: BittensorService
) -> None:
    """As when all its money was sent away, and some came back."""
    node.change(WeightsSetRateLimit=1)
    for nonce, weights in ((0, [1, 2, 3]), (1, [4, 5, 6]), (0, [7, 8, 9]), (1, [10, 11, 12])):
        if weights[0] == 7:
            node.node.produce(lambda ctx: ctx.remove("System", "Account", HOT.public_key), empty=True)
        asked = set_weights(service, weights=weights, wait_for_finalization=True)
        await pooled(node)
        assert [entry.extrinsic.nonce for entry in node.node.pool.waiting.values()] == [nonce]
        node.produce()
        assert (await asked).json()["success"] is True


async def test_lent_signatures_begin_again_too(node: LiveNode, service: BittensorService) -> None:
    asked = set_weights(service, wait_for_finalization=True)
    await pooled(node)
    node.produce()
    assert (await asked).json()["success"] is True
    node.node.produce(lambda ctx: ctx.remove("System", "Account", HOT.public_key), empty=True)
    chain = service.ledger.chain_work.chain
    runtime, heads = await chain.runtime(), await chain.heads()
    body = {
        "wallet_name": "validator",
        "hotkey_name": "default",
        "call": f"0x{runtime.encode(serve_axon(NETUID, '10.0.0.1', 8091)).hex()}",
        "era": f"0x{Era.starting(heads.final.number, 16).encode().hex()}",
        "nonce": 0,
    }
    headers = await service.token(calls=("SubtensorModule.serve_axon",))
    signed = await service.client.post("/wallet/extrinsics/sign", json=body, headers=headers)
    assert signed.status_code == 200, signed.text


async def test_weights_are_set_while_finality_stands_still(node: LiveNode, service: BittensorService) -> None:
    node.node.production.finality_stalled = True
    node.produce(100)
    asked = set_weights(service, wait_for_inclusion=True)
    await pooled(node)
    node.produce(50)
    assert (await asked).json()["success"] is True
    assert node.weights(0) == UPSCALED


async def test_nothing_is_signed_for_an_era_that_is_over(node: LiveNode, service: BittensorService) -> None:
    node.node.production.finality_stalled = True
    node.produce(MORE_THAN_NODES_KEEP)
    assert await refused(service) == (503, False, "finality_stalled")
    assert not node.node.pool.waiting


async def test_a_mechanism_that_is_not_there_is_not_signed_for(
    node: LiveNode, service: BittensorService
) -> None:
    answer = (await set_weights(service, mechid=1)).json()
    assert (answer["success"], answer["error"]["name"]) == (False, "MechanismDoesNotExist")
    node.change(MechanismCountCurrent=2)
    assert (await set_weights(service, mechid=1)).json()["success"] is True
