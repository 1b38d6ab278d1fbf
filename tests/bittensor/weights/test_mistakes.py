"""Weights that the chain would refuse, or that wipe a validator, are not signed: on every way that leads to a signature."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from strongroom.bittensor.authorization.limits import WEIGHTS
from strongroom.bittensor.protocol.calls import Call
from strongroom.bittensor.protocol.eras import Era
from strongroom.bittensor.protocol.ss58 import encode_address
from support.bittensor.live_node import NETUID, LiveNode, live_node, new_node
from support.bittensor.weighing import OTHERS, body, pooled, set_weights, settled, weighing_service
from support.bittensor_service import HOT, WALLET, BittensorService, import_validator, running_bittensor

ZEROS = [0, 0, 0]


@pytest.fixture(params=[293, 424])
async def node(request: pytest.FixtureRequest) -> AsyncIterator[LiveNode]:
    async with live_node(new_node(request.param, [HOT.public_key, *OTHERS])) as live:
        yield live


@pytest.fixture
async def service(node: LiveNode, tmp_path: Path) -> AsyncIterator[BittensorService]:
    async with weighing_service(node, tmp_path) as running:
        yield running


def told(response: httpx2.Response) -> tuple[int, Any]:
    return response.status_code, response.json().get("code")


async def sign(service: BittensorService, function: str, /, **arguments: Any) -> httpx2.Response:
    """As the SDK's chain client asks for it. `allow` asks for zeros by name."""
    allow = arguments.pop("allow", False)
    chain = service.ledger.chain_work.chain
    runtime, heads = await chain.runtime(), await chain.heads()
    call = Call(pallet="SubtensorModule", function=function, arguments=arguments)
    wanted = {
        "wallet_name": WALLET,
        "call": f"0x{runtime.encode(call).hex()}",
        "era": f"0x{Era.starting(heads.best.number, 16).encode().hex()}",
        "nonce": 0,
        "allow_all_zero_weights": allow,
    }
    headers = await service.token(calls=(WEIGHTS,))
    return await service.client.post("/wallet/extrinsics/sign", json=wanted, headers=headers)


def plain(**more: Any) -> dict[str, Any]:
    return {"netuid": NETUID, "dests": [0, 1, 2], "weights": [1, 2, 3], "version_key": 0} | more


async def test_all_zeros_are_not_set_unless_asked_for(node: LiveNode, service: BittensorService) -> None:
    for weights in (ZEROS, [0.0, 0.0, 0.0], [0, 0, -0.0]):
        for headers in (None, {"Prefer": "respond-async"}):
            assert told(await set_weights(service, headers=headers, weights=weights)) == (
                400,
                "weights_all_zero",
            )
    alone = await set_weights(service, uids=[0], weights=[0])
    assert told(alone) == (400, "weights_all_zero")
    assert not node.node.pool.waiting
    asked = set_weights(service, weights=ZEROS, allow_all_zero_weights=True, wait_for_inclusion=True)
    await pooled(node)
    node.produce()
    assert (await asked).json()["success"] is True
    assert node.weights(0) == [(0, 0), (1, 0), (2, 0)]


async def test_pylons_clients_set_no_zeros_either(node: LiveNode, service: BittensorService) -> None:
    path = f"/api/v1/identity/{WALLET}/subnet/{NETUID}/weights"
    weights = {encode_address(key): 0.0 for key in OTHERS}
    assert told(await service.client.put(path, json={"weights": weights})) == (400, "weights_all_zero")
    allowed = {"weights": weights, "allow_all_zero_weights": True}
    answer = await service.client.put(path, json=allowed)
    assert answer.status_code == 200, answer.text
    await pooled(node)
    node.produce()
    assert (await settled(service, answer.json()["job_id"]))["result"]["success"] is True


async def test_the_sdks_calls_set_no_zeros_either(node: LiveNode, service: BittensorService) -> None:
    batch = {"netuids": [NETUID], "weights": [[(0, 0), (1, 0)]], "version_keys": [0]}
    calls = [("set_weights", plain(weights=ZEROS)), ("batch_set_weights", batch)]
    if node.node.chain.runtime.spec_version == 424:
        calls.append(("set_mechanism_weights", plain(weights=ZEROS, mecid=0)))
    for function, arguments in calls:
        assert told(await sign(service, function, **arguments)) == (400, "weights_all_zero"), function
    assert told(await sign(service, "set_weights", **plain(weights=ZEROS, allow=True))) == (200, None)


async def test_nothing_that_is_all_zero_is_revealed(node: LiveNode, service: BittensorService) -> None:
    node.change(CommitRevealWeightsEnabled=True)
    reveal = {"netuid": NETUID, "uids": [0, 1], "values": [0, 0], "salt": [1], "version_key": 0}
    assert told(await sign(service, "reveal_weights", **reveal)) == (400, "weights_all_zero")
    several = {"netuid": NETUID, "uids_list": [[0], [1]], "values_list": [[1], [0]], "salts_list": [[1], [1]]}
    answer = await sign(service, "batch_reveal_weights", **several, version_keys=[0, 0])
    assert told(answer) == (400, "weights_all_zero")
    headers = await service.token(calls=(WEIGHTS,))
    document = {"wallet_name": WALLET, "transaction_data": reveal}
    answer = await service.client.post("/wallet/reveal_weights", json=document, headers=headers)
    assert told(answer) == (400, "weights_all_zero")


MISTAKES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"MinAllowedWeights": 4}, {}, "WeightVecLengthIsLow"),
    ({"MaxWeightsLimit": 30_000}, {}, "MaxWeightExceeded"),
    ({"MaxWeightsLimit": 30_000}, {"uids": [1], "weights": [5]}, "MaxWeightExceeded"),
    ({"ValidatorPermit": [False] * 4}, {}, "NeuronNoValidatorPermit"),
    ({"ValidatorPermit": [False] * 4}, {"uids": [1], "weights": [5]}, "NeuronNoValidatorPermit"),
    ({}, {"uids": [0, 1, 4]}, "UidVecContainInvalidOne"),
    ({}, {"uids": [0, 1, 2, 3, 4], "weights": [1] * 5}, "UidsLengthExceedUidsInSubNet"),
    ({"WeightsVersionKey": 9}, {}, "IncorrectWeightVersionKey"),
]


@pytest.mark.parametrize(("settings", "weights", "name"), MISTAKES)
async def test_what_the_chain_would_refuse_is_not_signed(
    node: LiveNode, service: BittensorService, settings: dict[str, Any], weights: dict[str, Any], name: str
) -> None:
    if settings:
        node.change(**settings)
    answer = await set_weights(service, **weights)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["success"], answer.json()["error"]["name"]) == (False, name)
    accepted = await service.client.post("/wallet/set_weights", json=body(**weights) | {"async": True})
    job = await settled(service, accepted.json()["job_id"])
    assert job["result"]["error"]["name"] == name
    given = body(**weights)["transaction_data"]
    arguments = plain(dests=given["uids"], weights=given["weights"], version_key=given["version_key"])
    refused = await sign(service, "set_weights", **arguments)
    assert told(refused) == (400, "weights_refused")
    assert refused.json()["detail"].startswith(name)
    assert not node.node.pool.waiting


@pytest.mark.parametrize(
    "weights",
    [
        {"uids": [1, 1, 2]},
        {"weights": [-1, 2, 3]},
        {"weights": [-0.5, 2, 3]},
        {"weights": [1, 2]},
        {"weights": [65536, 1, 1]},
        {"uids": [-1, 1, 2]},
        {"uids": [], "weights": []},
    ],
)
async def test_numbers_that_are_no_weights(
    node: LiveNode, service: BittensorService, weights: dict[str, Any]
) -> None:
    answer = await set_weights(service, **weights)
    assert told(answer) == (400, "invalid_weights")
    assert not node.node.pool.waiting


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999"])
async def test_what_is_no_number_is_no_weight(service: BittensorService, text: str) -> None:
    document = body(weights=[1.5, 1, 1])
    content = httpx2.Request("POST", "http://x", json=document).content.replace(b"1.5", text.encode())
    answer = await service.client.post(
        "/wallet/set_weights", content=content, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in {400, 422}, answer.text


async def test_a_weight_for_oneself_needs_no_more(node: LiveNode, service: BittensorService) -> None:
    node.change(ValidatorPermit=[False] * 4, MinAllowedWeights=3, MaxWeightsLimit=100)
    asked = set_weights(service, uids=[0], weights=[5], wait_for_inclusion=True)
    await pooled(node)
    node.produce()
    assert (await asked).json()["success"] is True


async def test_shares_within_the_limit_are_set(node: LiveNode, service: BittensorService) -> None:
    node.change(MaxWeightsLimit=32_768, MinAllowedWeights=500)
    asked = set_weights(service, uids=[0, 1, 2, 3], weights=[1, 1, 1, 3], wait_for_inclusion=True)
    await pooled(node)
    node.produce()
    assert (await asked).json()["success"] is True


async def test_a_limit_that_the_runtime_looks_at_no_more_may_be_ignored(tmp_path: Path) -> None:
    """Since 2026 it is kept as it was when its subnet last set it."""
    async with live_node(new_node(424, [HOT.public_key, *OTHERS])) as node:
        node.change(MaxWeightsLimit=100)
        variables = {"chain_endpoint": node.url, "BITTENSOR_IGNORE_MAX_WEIGHTS_LIMIT": "true"}
        async with running_bittensor({"STRONGROOM_DATA": str(tmp_path)} | variables) as service:
            await import_validator(service)
            asked = set_weights(service, wait_for_inclusion=True)
            await pooled(node)
            node.produce()
            assert (await asked).json()["success"] is True


async def test_commit_reveal_closes_the_plain_call(node: LiveNode, service: BittensorService) -> None:
    node.change(CommitRevealWeightsEnabled=True)
    refused = await sign(service, "set_weights", **plain())
    assert (told(refused), refused.json()["detail"][:19]) == ((400, "weights_refused"), "CommitRevealEnabled")
    node.change(CommitRevealWeightsEnabled=False)
    headers = await service.token(calls=(WEIGHTS,))
    data = {"netuid": NETUID, "commit_hash": "ab" * 32}
    document = {"wallet_name": WALLET, "transaction_data": data}
    answer = await service.client.post("/wallet/commit_weights", json=document, headers=headers)
    assert (answer.status_code, answer.json()["error"]["name"]) == (200, "CommitRevealDisabled")
    assert not node.node.pool.waiting


async def test_mistakes_are_not_committed(node: LiveNode, service: BittensorService) -> None:
    """The chain would see them when it is too late."""
    node.change(CommitRevealWeightsEnabled=True, MinAllowedWeights=4)
    answer = await set_weights(service)
    assert answer.json()["error"]["name"] == "WeightVecLengthIsLow"
    assert told(await set_weights(service, weights=ZEROS)) == (400, "weights_all_zero")
    assert not node.node.pool.waiting
