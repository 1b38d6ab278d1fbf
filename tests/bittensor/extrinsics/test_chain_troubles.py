"""Answers that are lost, nodes that go away, blocks that vanish, runtimes that change: one signature takes effect, once."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy.engine import URL

from strongroom.bittensor.extrinsics.extrinsic import extrinsic_of
from strongroom.bittensor.extrinsics.network import ExtrinsicNetwork
from strongroom.bittensor.gateway import ChainUnavailable
from strongroom.bittensor.gateway.node import NodeChain
from strongroom.bittensor.keystore.names import hotkey
from strongroom.bittensor.keystore.wallets import NewKey
from strongroom.bittensor.protocol.calls import set_mechanism_weights as mechanism_call
from strongroom.bittensor.protocol.calls import set_weights as weights_call
from strongroom.bittensor.protocol.eras import Era
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.bittensor.protocol.weights import weight_set
from strongroom.core.errors import Unavailable
from strongroom.core.intents.intent import Intent, Verdict
from strongroom.core.intents.store import load_open
from strongroom.core.security.access import OPERATOR
from strongroom_sandbox.bittensor.chain.genesis import Genesis
from strongroom_sandbox.bittensor.codec.runtime import Call, shipped_runtime
from strongroom_sandbox.bittensor.execution import accounts
from strongroom_sandbox.bittensor.execution.extrinsics import read_extrinsic
from strongroom_sandbox.bittensor.node.faults import Lies, Refusal
from strongroom_sandbox.bittensor.node.node import Node, Production
from support.bittensor.live_node import NETUID, LiveNode, live_node, new_node
from support.bittensor.signing import signed
from support.bittensor.weighing import OTHERS, UPSCALED, Hurried, body, pooled, reaches, set_weights, settled
from support.bittensor_service import (
    HOT,
    WALLET,
    BittensorService,
    database_variables,
    import_validator,
    running_bittensor,
)
from support.waiting import PATIENCE_S, eventually

KEY = {"Idempotency-Key": "once"}


@pytest.fixture
async def node() -> AsyncIterator[LiveNode]:
    async with live_node(new_node(293, [HOT.public_key, *OTHERS])) as live:
        yield live


@pytest.fixture
def database_url(new_database: Callable[[str], URL]) -> URL:
    """The one in which replicas really meet."""
    return new_database("mariadb")


@pytest.fixture
def variables(node: LiveNode, database_url: URL, tmp_path: Path) -> dict[str, str]:
    return database_variables(database_url, tmp_path) | {"chain_endpoint": node.url}


@pytest.fixture
async def service(variables: dict[str, str]) -> AsyncIterator[BittensorService]:
    async with running_bittensor(variables, clock=Hurried()) as running:
        await import_validator(running)
        yield running


async def answers(service: BittensorService, field: str, value: object, **more: Any) -> httpx2.Response:
    """Asks for weights until the answer has this."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            response = await set_weights(service, **more)
            if response.json().get(field) == value:
                return response
            await asyncio.sleep(0.05)


def made_by_us(node: LiveNode) -> list[bytes]:
    """The hashes of the hotkey's extrinsics on the best chain."""
    return [
        extrinsic.hash
        for block in node.node.chain.best
        for extrinsic in (read_extrinsic(raw, block.runtime) for raw in block.extrinsics[1:])
        if extrinsic.signer == HOT.public_key
    ]


async def test_a_lost_answer_is_found_in_the_blocks(node: LiveNode, service: BittensorService) -> None:
    node.node.faults.drop_reply = 1
    response = await set_weights(service, headers=KEY)
    told = response.json()
    assert (response.status_code, told["submitted"], told["code"]) == (504, "unknown", "outcome_unknown")
    await pooled(node)
    node.produce()
    found = await settled(service, "once")
    assert (found["status"], found["result"]["success"]) == ("final", True)
    assert len(made_by_us(node)) == 1


async def test_what_never_arrived_is_offered_again(node: LiveNode, service: BittensorService) -> None:
    node.node.faults.drop_submission = 1
    response = await set_weights(service, headers=KEY)
    assert (response.status_code, response.json()["submitted"]) == (504, "unknown")
    other = await set_weights(service, weights=[1, 2, 3])
    assert other.status_code in {409, 503}
    await pooled(node)
    node.produce()
    assert (await settled(service, "once"))["result"]["success"] is True
    assert node.weights(0) == UPSCALED


async def test_a_chain_that_is_away_gets_nothing(node: LiveNode, service: BittensorService) -> None:
    await node.close()
    response = await set_weights(service, headers=KEY)
    told = response.json()
    assert (response.status_code, told["submitted"], told["code"]) == (503, False, "chain_unavailable")
    assert (await service.client.get("/wallet/jobs/once")).status_code == 404
    await node.open()
    await answers(service, "success", value=True, headers=KEY)
    assert len(node.node.pool.waiting) == 1


async def test_what_the_sdk_puts_together_is_signed_once_the_chain_is_back(
    node: LiveNode, service: BittensorService
) -> None:
    """Whoever asks has just talked to the chain; the service may have met it while it began again, and pauses."""
    chain = service.ledger.chain_work.chain
    runtime, heads = await chain.runtime(), await chain.heads()
    document = {
        "wallet_name": WALLET,
        "call": runtime.encode(weights_call(NETUID, weight_set([0], [1], 0))).hex(),
        "era": Era.starting(heads.best.number, 16).encode().hex(),
        "nonce": 0,
    }
    await node.close()
    for _ in range(3):
        assert (await set_weights(service)).status_code == 503
    asked = asyncio.ensure_future(service.client.post("/wallet/extrinsics/sign", json=document))
    await asyncio.wait([asked], timeout=0.5)
    assert not asked.done(), asked.result().text
    await node.open()
    answer = await asked
    assert answer.status_code == 200, answer.text


async def test_a_block_that_vanishes_takes_its_answer_back(node: LiveNode, service: BittensorService) -> None:
    node.node.production.finality_stalled = True
    asked = set_weights(service, headers=KEY, wait_for_inclusion=True)
    await pooled(node)
    node.produce()
    first = (await asked).json()
    node.node.fork(1, 2, empty=2)
    assert node.weights(0) == []
    job = first["job_id"]
    await reaches(service, job, "pooled")
    node.node.production.finality_stalled = False
    node.produce(2)
    again = await reaches(service, job, "final")
    assert again["extrinsic_hash"] == first["extrinsic_hash"]
    assert again["result"]["block_hash"] != first["block_hash"]
    assert len(made_by_us(node)) == 1


async def test_a_pool_that_forgets_is_reminded(node: LiveNode, service: BittensorService) -> None:
    await set_weights(service, headers=KEY)
    node.node.drop_pool()
    await pooled(node)
    node.produce()
    await reaches(service, "once", "final")
    assert len(made_by_us(node)) == 1


async def test_an_era_that_ends_frees_the_nonce(node: LiveNode, service: BittensorService) -> None:
    await set_weights(service, headers=KEY)
    node.node.faults.refusal = Refusal(method="author_submitExtrinsic", code=-32603, message="no", count=999)
    node.node.drop_pool()
    node.produce(31)
    found = await reaches(service, "once", "expired")
    assert found["result"]["success"] is False
    assert found["result"]["error"]["name"] == "Expired"
    node.node.faults.refusal = None
    assert (await set_weights(service)).json()["success"] is True
    assert [entry.extrinsic.nonce for entry in node.node.pool.waiting.values()] == [0]


async def test_no_call_is_signed_behind_one_whose_era_is_over(
    node: LiveNode, service: BittensorService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chain would wait for the nonce before it, until the era of the later one is over too."""
    await set_weights(service, headers=KEY)
    node.node.faults.refusal = Refusal(method="author_submitExtrinsic", code=-32603, message="no", count=999)
    node.node.drop_pool()
    may_be_known = asyncio.Event()
    follow = ExtrinsicNetwork.follow

    async def follow_late(network: ExtrinsicNetwork, intents: Sequence[Intent]) -> Mapping[bytes, Verdict]:
        verdicts = await follow(network, intents)
        await may_be_known.wait()
        return verdicts

    monkeypatch.setattr(ExtrinsicNetwork, "follow", follow_late)
    node.produce(40)
    node.node.faults.refusal = None
    node.requests.clear()
    axon = body() | {"transaction_data": {"netuid": NETUID, "ip": "1.2.3.4", "port": 8091}}
    headers = await service.token(calls=("SubtensorModule.serve_axon",))
    asked = asyncio.create_task(service.client.post("/wallet/serve_axon", json=axon, headers=headers))
    await eventually(lambda: sum("accountNextIndex" in request for request in node.requests) >= 3)
    assert not node.node.pool.waiting
    may_be_known.set()
    answer = (await asked).json()
    assert answer["success"] is True, answer
    assert [entry.extrinsic.nonce for entry in node.node.pool.waiting.values()] == [0]


async def test_the_era_is_not_over_before_its_last_block_is_final(
    node: LiveNode, service: BittensorService
) -> None:
    await set_weights(service, headers=KEY)
    node.node.faults.refusal = Refusal(method="author_submitExtrinsic", code=-32603, message="no", count=999)
    node.node.drop_pool()
    node.node.production.finality_stalled = True
    node.produce(40)
    asked = len(node.requests)
    await eventually(lambda: len(node.requests) > asked + 50)
    assert (await service.client.get("/wallet/jobs/once")).json()["status"] == "pooled"


async def test_an_upgrade_between_two_calls_is_followed(node: LiveNode, service: BittensorService) -> None:
    asked = set_weights(service, wait_for_finalization=True)
    await pooled(node)
    node.produce()
    assert (await asked).json()["success"] is True
    node.node.produce(empty=True, upgrade=shipped_runtime(424))
    node.change(WeightsSetRateLimit=1)
    asked = set_weights(service, weights=[1, 2, 3], wait_for_finalization=True)
    await pooled(node)
    node.produce()
    assert (await asked).json()["success"] is True
    assert node.weights(0) == [(0, 21845), (1, 43690), (2, 65535)]


async def test_an_upgrade_is_in_the_next_signature_that_the_sdk_gets(
    node: LiveNode, service: BittensorService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the service knows the earlier version from a moment ago."""
    chain = service.ledger.chain_work.chain
    assert isinstance(chain, NodeChain)
    monkeypatch.setattr(chain._version, "_age_s", 10**9)
    node.node.produce(empty=True)
    assert (await chain.runtime(fresh=True)).spec_version == node.node.chain.runtime.spec_version
    node.node.produce(empty=True, upgrade=shipped_runtime(424))
    heads = await chain.heads()
    weights = mechanism_call(NETUID, 0, weight_set([0], [1], 0))
    call = (await chain.runtime(after=heads.best.hash)).encode(weights)
    document = {
        "wallet_name": WALLET,
        "call": call.hex(),
        "era": Era.starting(heads.best.number, 16).encode().hex(),
        "nonce": 0,
    }
    answer = await service.client.post("/wallet/extrinsics/sign", json=document)
    assert answer.status_code == 200, answer.text
    (intent,) = await service.ledger.database.read(load_open)
    assert extrinsic_of(intent).spec_version == 424


async def test_an_upgrade_while_it_waits_in_the_pool_is_the_end_of_it(
    node: LiveNode, service: BittensorService
) -> None:
    waits = await service.client.post("/wallet/set_weights", json=body() | {"async": True})
    await pooled(node)
    node.node.produce(empty=True, upgrade=shipped_runtime(424))
    node.produce()
    await pooled(node)
    node.produce()
    found = await settled(service, waits.json()["job_id"])
    assert (found["status"], found["result"]["success"], found["nonce"]) == ("final", True, 0)
    assert node.weights(0) == UPSCALED


async def test_another_chain_is_not_spoken_to(node: LiveNode, service: BittensorService) -> None:
    await eventually(lambda: bool(node.requests))
    other = Node(Genesis(hash=b"\x46" * 32).chain(), Hurried(), Production(interval_ms=None))
    await node.close()
    node.node = other
    await node.open()
    response = await answers(service, "code", "wrong_chain")
    assert (response.status_code, response.json()["submitted"]) == (503, False)
    assert not other.pool.waiting


async def test_a_second_endpoint_takes_over_from_a_silent_one(
    node: LiveNode, database_url: URL, tmp_path: Path
) -> None:
    async with live_node(node.node) as second:
        both = {"chain_endpoint": f"{node.url},{second.url}"}
        variables = database_variables(database_url, tmp_path) | both
        async with running_bittensor(variables, clock=Hurried()) as service:
            await import_validator(service)
            await eventually(lambda: bool(node.requests))
            node.silent = True
            await answers(service, "success", value=True)
    assert len(node.node.pool.waiting) == 1


async def test_two_replicas_sign_once(
    node: LiveNode, service: BittensorService, variables: dict[str, str]
) -> None:
    async with running_bittensor(variables, clock=Hurried()) as replica:
        asked = [set_weights(one, headers=KEY) for one in (service, replica) for _ in range(4)]
        told = [(await one).json() for one in asked]
        assert {answer.get("job_id") for answer in told} == {told[0]["job_id"]}, told
        node.produce()
        found = await settled(replica, "once")
        assert found["result"]["success"] is True
    assert len(made_by_us(node)) == 1


async def test_of_many_different_sets_one_is_under_way(
    node: LiveNode, service: BittensorService, variables: dict[str, str]
) -> None:
    """Asked for at once by two tokens at two replicas, now and in the background."""
    tokens = [await service.token(), await service.token()]
    node.change(WeightsSetRateLimit=0)
    async with running_bittensor(variables, clock=Hurried()) as replica:
        asked = [
            asyncio.create_task(
                one.client.post(
                    "/wallet/set_weights",
                    json=body(weights=[1, 2, 10 + number]) | {"async": number % 4 == 0},
                    headers=tokens[number // 2 % 2],
                )
            )
            for number, one in enumerate([service, replica] * 6)
        ]
        told = [await one for one in asked]
        taken = [answer for answer in told if answer.status_code in {200, 202}]
        texts = [answer.text for answer in told]
        assert len(taken) == 1, texts
        codes = {answer.json().get("code") for answer in told if answer not in taken}
        assert codes <= {"weights_in_flight", "account_busy"}, texts
        await pooled(node)
        node.produce(2)
        await eventually(lambda: not node.node.pool.waiting)
    assert len(made_by_us(node)) == 1


async def test_what_never_left_leaves_its_key_free(
    node: LiveNode, service: BittensorService, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = service.ledger.chain_work.chain.submit

    async def cut(_raw: bytes) -> None:
        await asyncio.sleep(0)
        raise ChainUnavailable("The connection has just ended")

    monkeypatch.setattr(service.ledger.chain_work.chain, "submit", cut)
    response = await set_weights(service, headers=KEY)
    assert (response.status_code, response.json()["submitted"]) == (503, False)
    assert (await service.client.get("/wallet/jobs/once")).status_code == 404
    monkeypatch.setattr(service.ledger.chain_work.chain, "submit", submit)
    assert (await set_weights(service, headers=KEY)).json()["success"] is True
    assert [entry.extrinsic.nonce for entry in node.node.pool.waiting.values()] == [0]


async def test_a_nonce_that_another_program_took_is_passed_over(
    node: LiveNode, service: BittensorService
) -> None:
    call = Call("System", "remark", {"remark": b"elsewhere"})
    node.node.produce(lambda ctx: accounts.deposit(ctx, HOT.public_key, 10**9), empty=True)
    node.node.submit(signed(node.node, "//Strongroom//hot", call))
    node.node.faults.lies = Lies(next_index_by=-1)
    asked = set_weights(service)
    await eventually(lambda: sum("author_submitExtrinsic" in request for request in node.requests) == 1)
    node.node.faults.lies = Lies()
    assert (await asked).json()["success"] is True
    assert sorted(entry.extrinsic.nonce for entry in node.node.pool.waiting.values()) == [0, 1]


async def test_many_validators_at_once(database_url: URL, tmp_path: Path) -> None:
    pairs = [Keypair.from_uri(f"//Many//{number}") for number in range(64)]
    async with live_node(new_node(424, [pair.public_key for pair in pairs])) as node:
        variables = database_variables(database_url, tmp_path) | {"chain_endpoint": node.url}
        async with running_bittensor(variables) as service:
            keys = [
                NewKey(key=hotkey("many", f"h{number}"), public_key=pair.public_key, keypair=pair)
                for number, pair in enumerate(pairs)
            ]
            await service.ledger.wallets.import_(OPERATOR, keys)
            asked = [
                service.client.post(
                    "/wallet/set_weights",
                    json=body(wait_for_finalization=True)
                    | {"wallet_name": "many", "hotkey_name": f"h{number}"},
                )
                for number in range(len(pairs))
            ]
            answers = asyncio.gather(*asked)
            await pooled(node, len(pairs))
            node.produce()
            told = [response.json() for response in await answers]
    assert all(answer["success"] for answer in told), told
    assert len({answer["extrinsic_hash"] for answer in told}) == len(pairs)
    assert [node.weights(number) for number in range(len(pairs))] == [UPSCALED] * len(pairs)


async def test_a_repeated_request_is_never_told_that_nothing_was_submitted(
    node: LiveNode, service: BittensorService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one was; a key that cannot be opened now says nothing about it."""
    assert (await set_weights(service, headers=KEY)).json()["success"] is True

    async def away(_key: object) -> Keypair:
        await asyncio.sleep(0)
        raise Unavailable("The database does not answer")

    monkeypatch.setattr(service.ledger.keyring, "open", away)
    again = await set_weights(service, headers=KEY)
    assert (again.status_code, again.json()["submitted"]) == (504, "unknown")
    new = await set_weights(service, headers={"Idempotency-Key": "another"})
    assert (new.status_code, new.json()["submitted"]) == (503, False)
    assert len(node.node.pool.waiting) == 1
