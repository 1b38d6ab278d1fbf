"""Weights over the whole way: HTTP, database, a node's JSON-RPC, blocks."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import URL
from structlog.testing import capture_logs

from strongroom.bittensor.protocol.ss58 import encode_address
from strongroom.bittensor.protocol.weights import WeightSet
from strongroom.bittensor.weights import timelock
from strongroom.core.errors import Unavailable
from support.bittensor.live_node import NETUID, LiveNode, live_node, new_node
from support.bittensor.weighing import OTHERS, UPSCALED, Hurried, body, pooled, revealed, set_weights, settled
from support.bittensor_service import (
    HOT,
    BittensorService,
    database_variables,
    import_validator,
    running_bittensor,
)
from support.log_alarms import alarms

FIRST_ROUND_OF_2026 = 24_000_000
"""Of the beacon, whose rounds take 3 s."""


@pytest.fixture(params=[293, 424])
def spec_version(request: pytest.FixtureRequest) -> int:
    version: int = request.param
    return version


@pytest.fixture
def database_url(spec_version: int, new_database: Callable[[str], URL]) -> URL:
    """Each runtime on a database of its own: the two have nothing to do with each other."""
    return new_database("sqlite" if spec_version == 293 else "mariadb")


@pytest.fixture
async def node(spec_version: int) -> AsyncIterator[LiveNode]:
    async with live_node(new_node(spec_version, [HOT.public_key, *OTHERS])) as live:
        yield live


@pytest.fixture
async def service(node: LiveNode, database_url: URL, tmp_path: Path) -> AsyncIterator[BittensorService]:
    variables = database_variables(database_url, tmp_path) | {"chain_endpoint": node.url}
    async with running_bittensor(variables, clock=Hurried()) as running:
        await import_validator(running)
        yield running


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


async def test_floats_are_normalised(node: LiveNode, service: BittensorService) -> None:
    asked = set_weights(service, weights=[0.1, 0.2, 0.7], wait_for_inclusion=True)
    await pooled(node)
    node.produce()
    answer = (await asked).json()
    assert answer["success"] is True, answer
    assert answer["message"] in {"Included in a block.", "Included in a final block."}
    assert node.weights(0) == [(0, 9362), (1, 18724), (2, 65535)]


async def test_the_same_again_is_the_same_and_others_wait(node: LiveNode, service: BittensorService) -> None:
    first = (await set_weights(service)).json()
    again = (await set_weights(service)).json()
    other = await set_weights(service, weights=[1, 2, 3])
    assert again == first
    assert (other.status_code, other.json()["code"]) == (409, "weights_in_flight")
    asked = set_weights(service, wait_for_finalization=True)
    node.produce()
    done = (await asked).json()
    assert done["extrinsic_hash"] == first["extrinsic_hash"]
    node.produce(4)
    assert (await set_weights(service, wait_for_finalization=True)).json() == done
    told = (await set_weights(service, weights=[1, 2, 3])).json()
    assert (told["success"], told["error"]["name"]) == (False, "TooSoon")
    assert told["blocks_to_wait"] == 100 - 5


async def test_the_same_twice_at_once_are_one_and_no_defect(service: BittensorService) -> None:
    with capture_logs() as logs:
        one, other = await asyncio.gather(set_weights(service), set_weights(service))
    assert one.json() == other.json()
    assert one.json()["success"] is True
    assert alarms(logs) == []
    assert "job_exists" in {each.get("code") for each in logs}


async def test_the_chain_takes_the_next_weights_at_the_limit(
    node: LiveNode, service: BittensorService
) -> None:
    node.change(WeightsSetRateLimit=3)
    asked = set_weights(service, wait_for_finalization=True)
    await pooled(node)
    node.produce()
    assert (await asked).json()["success"] is True
    assert (await set_weights(service, weights=[1, 2, 3])).json()["blocks_to_wait"] == 2
    node.produce(2)
    asked = set_weights(service, weights=[1, 2, 3], wait_for_inclusion=True)
    await pooled(node)
    node.produce()
    assert (await asked).json()["success"] is True


async def test_a_dispatch_error_is_an_answer(node: LiveNode, service: BittensorService) -> None:
    """What changed after the service had looked."""
    asked = set_weights(service, wait_for_inclusion=True)
    await pooled(node)
    node.change(WeightsVersionKey=2)
    node.produce()
    response = await asked
    answer = response.json()
    assert (response.status_code, answer["success"]) == (200, False)
    assert answer["error"]["type"] == "Module"
    assert answer["error"]["name"] == "IncorrectWeightVersionKey"
    assert answer["block_number"] == node.node.chain.head.number


async def test_a_pools_refusal_is_an_answer_and_frees_the_nonce(
    node: LiveNode, service: BittensorService
) -> None:
    node.node.produce(lambda ctx: ctx.put("SubtensorModule", "StakeThreshold", value=10**12), empty=True)
    response = await set_weights(service)
    answer = response.json()
    assert (response.status_code, answer["success"], answer["error"]["type"]) == (200, False, "Pool")
    node.node.produce(lambda ctx: ctx.put("SubtensorModule", "StakeThreshold", value=0), empty=True)
    assert (await set_weights(service)).json()["success"] is True
    assert [entry.extrinsic.nonce for entry in node.node.pool.waiting.values()] == [0]


@pytest.mark.parametrize(
    ("change", "name"),
    [({"netuid": 77}, "SubNetworkDoesNotExist"), ({"netuid": 0}, "CanNotSetRootNetworkWeights")],
)
async def test_what_is_refused_for_certain_is_not_signed(
    node: LiveNode, service: BittensorService, change: dict[str, Any], name: str
) -> None:
    answer = (await set_weights(service, **change)).json()
    assert (answer["success"], answer["error"]["name"]) == (False, name)
    assert not node.node.pool.waiting


async def test_a_key_joins_its_request_and_no_other(node: LiveNode, service: BittensorService) -> None:
    key = {"Idempotency-Key": "k1"}
    first = (await set_weights(service, headers=key)).json()
    assert (await set_weights(service, headers=key)).json() == first
    other = await set_weights(service, headers=key, weights=[3, 2, 1])
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (await service.client.get("/wallet/jobs/k1")).json()["result"] == first
    missing = await service.client.get("/wallet/jobs/k2")
    assert (missing.status_code, missing.json()["code"]) == (404, "job_not_found")
    stranger = await service.token()
    assert (await service.client.get("/wallet/jobs/k1", headers=stranger)).status_code == 404
    assert len(node.node.pool.waiting) == 1


async def test_a_job_waits_for_its_turn(node: LiveNode, service: BittensorService) -> None:
    node.change(LastUpdate=[node.node.chain.head.number, 0, 0, 0], WeightsSetRateLimit=6)
    response = await service.client.post("/wallet/set_weights", json=body() | {"async": True})
    job = response.json()
    assert (response.status_code, job["status"], job["result"]) == (202, "waiting", None)
    assert response.headers["location"] == f"/wallet/jobs/{job['job_id']}"
    assert not node.node.pool.waiting
    node.produce(5)
    await pooled(node)
    node.produce()
    assert node.weights(0) == UPSCALED
    found = await settled(service, job["job_id"])
    assert (found["status"], found["result"]["success"]) == ("final", True)


@pytest.mark.parametrize("spec_version", [293], indirect=True)
async def test_committed_weights_are_revealed_in_their_epoch(
    node: LiveNode, service: BittensorService
) -> None:
    node.change(CommitRevealWeightsEnabled=True, Tempo=10)
    itself: dict[str, Any] = {
        "uids": [0],
        "weights": [7],
    }  # needs no permit, which the epochs of this chain give by stake
    asked = set_weights(service, wait_for_finalization=True, **itself)
    await pooled(node)
    node.produce()
    assert (await asked).json()["success"] is True
    assert node.weights(0) == []
    assert await revealed(node, HOT.public_key) == [(0, 65535)]


async def test_pylons_clients_set_weights_by_hotkey(node: LiveNode, service: BittensorService) -> None:
    addresses = [encode_address(key) for key in (*OTHERS, b"\x09" * 32)]
    path = f"/api/v1/identity/validator/subnet/{NETUID}/weights"
    weights = dict(zip(addresses, [0.5, 1.0, 0.0, 1.0], strict=True))
    response = await service.client.put(path, json={"weights": weights})
    answer = response.json()
    assert response.status_code == 200, answer
    assert (answer["detail"], answer["count"]) == ("weights update scheduled", 3)
    assert answer["not_registered"] == [addresses[3]]
    await pooled(node)
    node.produce()
    assert (await settled(service, answer["job_id"]))["result"]["success"] is True
    assert (await service.client.get(f"{path}/{answer['job_id']}")).json()["status"] == "final"
    assert node.weights(0) == [(1, 32768), (2, 65535)]
    nobody = await service.client.put(path, json={"weights": weights}, headers={"Authorization": "Bearer no"})
    assert nobody.status_code == 401
    assert (await service.client.get("/api/v1/identities")).json() == {"identities": {}}
    none = await service.client.put(path, json={"weights": None})
    assert (none.status_code, none.json()["code"]) == (422, "invalid_request")


async def test_pylons_clients_are_told_the_subnets_that_are_named(tmp_path: Path) -> None:
    """They ask without a token: so nothing is told of any other wallet."""
    variables = {"BITTENSOR_PYLON_IDENTITIES": "validator=2, validator:second=5"}
    async with running_bittensor({"STRONGROOM_DATA": str(tmp_path)} | variables) as service:
        answer = await service.client.get("/api/v1/identities", headers={"Authorization": ""})
    told = {"identities": {"validator": 2, "validator:second": 5}}
    assert (answer.status_code, answer.json()) == (200, told)


@pytest.mark.parametrize("spec_version", [424], indirect=True)
async def test_weights_are_sealed_until_the_beacon_opens_them(
    node: LiveNode, service: BittensorService
) -> None:
    """With the library that the SDKs seal with; what it hides, only the beacon can tell."""
    node.change(CommitRevealWeightsEnabled=True)
    asked = set_weights(service, wait_for_inclusion=True)
    await pooled(node)
    (waiting,) = node.node.pool.waiting.values()
    call = waiting.extrinsic.call
    node.produce()
    answer = (await asked).json()
    assert answer["success"] is True, answer
    assert (call.function, call.args["commit_reveal_version"]) == ("commit_timelocked_mechanism_weights", 4)
    assert call.args["reveal_round"] > FIRST_ROUND_OF_2026
    assert len(bytes(call.args["commit"])) > 100
    assert node.weights(0) == []


EPOCHS = {
    "LastEpochBlock": 0,
    "PendingEpochAt": 0,
    "SubnetEpochIndex": 1,
    "Tempo": 360,
    "BlocksSinceLastStep": 10,
    "RevealPeriodEpochs": 1,
}


def test_what_is_sealed_differs_from_time_to_time() -> None:
    weights = WeightSet(uids=(1, 2), values=(100, 65535), version_key=1)
    sealed = [timelock.seal(weights, HOT.public_key, EPOCHS, 10, 12.0) for _ in range(2)]
    assert sealed[0][0] != sealed[1][0]
    assert abs(sealed[0][1] - sealed[1][1]) <= 1


def test_fast_blocks_bring_the_round_that_opens_it_nearer() -> None:
    """A local chain for development has 250 ms; its epoch would be long over at the round for 12 s."""
    weights = WeightSet(uids=(1,), values=(65535,), version_key=1)
    (_, slow), (_, fast) = (
        timelock.seal(weights, HOT.public_key, EPOCHS, 10, block_s) for block_s in (12.0, 0.25)
    )
    assert slow - fast > 1000  # rounds of three seconds


def test_what_cannot_be_sealed_is_not_signed() -> None:
    with pytest.raises(Unavailable, match="cannot be sealed"):
        timelock.seal(WeightSet(uids=(1,), values=(1,), version_key=0), HOT.public_key, {}, 10, 12.0)
