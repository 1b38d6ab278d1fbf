"""What people must approve before it is signed, as a validator meets it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from strongroom.bittensor.keystore.names import coldkey, hotkey
from strongroom.bittensor.keystore.wallets import NewKey
from strongroom.bittensor.protocol.calls import Call
from strongroom.bittensor.protocol.eras import Era
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.core.clock import SystemClock
from strongroom.core.guard.approvals.approval import Approval, ApprovalState
from strongroom.core.intents import tables as intents
from strongroom.core.ledger.life.reading import find_lives
from strongroom.core.security.access import OPERATOR, Principal
from support.bittensor.live_node import NETUID, LiveNode
from support.bittensor.weighing import body, settled, weighing_service
from support.bittensor_service import (
    HOT,
    HOTKEY,
    WALLET,
    BittensorService,
)
from support.named_requests import naming
from support.waiting import eventually, until_true

pytestmark = pytest.mark.anyio
ANN = Principal(name="token:ann", scopes=frozenset({"bittensor:approve"}))
RULE = {"effect": "approve", "approvals": {"needed": 1}}
TRANSFER = "Balances.transfer_keep_alive"
SERVE_AXON = "SubtensorModule.serve_axon"
TAO = 10**9
PAYER = Keypair.from_uri("//Alice")


@pytest.fixture
async def service(node: LiveNode, tmp_path: Path) -> AsyncIterator[BittensorService]:
    async with weighing_service(node, tmp_path) as running:
        rich = NewKey(key=coldkey("payer"), public_key=PAYER.public_key, keypair=PAYER)
        own = NewKey(key=hotkey("payer", HOTKEY), public_key=HOT.public_key, keypair=HOT)
        await running.ledger.wallets.import_(OPERATOR, [rich, own])
        await running.ledger.rules.add(OPERATOR, "everything", json.dumps(RULE))
        yield running


async def set_weights(service: BittensorService, key: str | None = None, **more: Any) -> httpx2.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await service.client.post("/wallet/set_weights", json=body(**more), headers=headers)


async def life(service: BittensorService, name: str) -> list[str]:
    (one,) = await find_lives(service.ledger, name, SystemClock().now_ms())
    return [step.word.value for step in one.steps]


def waiting(answer: httpx2.Response) -> str:
    """The id under which a request waits."""
    found = answer.json()
    assert (answer.status_code, found["code"]) == (403, "approval_needed")
    assert found["approval_id"] in found["detail"]
    approval: str = found["approval_id"]
    return approval


async def until_state(service: BittensorService, approval: str, state: ApprovalState) -> Approval:
    async def has_it() -> bool:
        return (await service.ledger.approvals.show(approval)).state is state

    await until_true(has_it)
    return await service.ledger.approvals.show(approval)


async def signed(service: BittensorService) -> list[str]:
    rows = await service.ledger.database.fetch_all(
        select(intents.intent.c.kind).order_by(intents.intent.c.created_at_ms)
    )
    return [row.kind for row in rows]


def in_pool(node: LiveNode) -> list[str]:
    return [each.extrinsic.call.function for each in node.node.pool.waiting.values()]


@pytest.mark.parametrize("is_sealed", [False, True])
@pytest.mark.parametrize("key", [None, "once"])
async def test_approved_weights_are_set_without_their_client(
    node: LiveNode, service: BittensorService, key: str | None, is_sealed: bool
) -> None:
    node.change(CommitRevealWeightsEnabled=is_sealed)
    approval = waiting(await set_weights(service, key))
    assert waiting(await set_weights(service, key)) == approval
    assert await signed(service) == []
    await service.ledger.approvals.approve(ANN, approval)
    spent = await until_state(service, approval, ApprovalState.SPENT)
    assert spent.payload_id is not None
    await eventually(lambda: len(in_pool(node)) == 1)
    assert ("timelocked" in in_pool(node)[0]) is is_sealed
    answer = await set_weights(service, key)
    assert (answer.status_code, answer.json()["success"]) == (200, True)
    assert answer.json()["extrinsic_hash"] == f"0x{spent.payload_id.hex()}"
    assert len(await signed(service)) == 1


async def test_a_request_is_followed_from_before_it_is_signed(
    node: LiveNode, service: BittensorService
) -> None:
    async with naming(service.application, service.client) as named:
        answer = await named.post("/wallet/set_weights", json=body(), headers={"X-Request-Id": "tempo-7"})
    assert answer.headers["X-Request-Id"] == "tempo-7"
    approval = waiting(answer)
    assert await life(service, "tempo-7") == await life(service, approval) == ["asked", "waited", "next"]
    await service.ledger.approvals.approve(ANN, approval)
    await until_state(service, approval, ApprovalState.SPENT)
    await eventually(lambda: len(in_pool(node)) == 1)
    words = await life(service, "tempo-7")
    assert words[:5] == ["asked", "waited", "approved", "allowed", "signed"]
    assert words[-1] == "next"


async def test_other_weights_wait_under_an_id_of_their_own(service: BittensorService) -> None:
    approval = waiting(await set_weights(service, "once"))
    assert waiting(await set_weights(service, weights=[1, 2, 4])) != approval
    assert waiting(await set_weights(service, "another")) == approval  # a node asks under a new key each time


async def test_refused_weights_are_not_set_and_may_be_asked_for_anew(
    node: LiveNode, service: BittensorService
) -> None:
    approval = waiting(await set_weights(service, "once"))
    await service.ledger.approvals.refuse(ANN, approval, "wrong uids")
    assert waiting(await set_weights(service, "once")) != approval
    assert in_pool(node) == []


async def test_weights_are_not_set_after_those_of_another_program(
    node: LiveNode, service: BittensorService
) -> None:
    """A node that found the service away may have used its own wallet."""
    approval = waiting(await set_weights(service))
    node.produce(3)
    node.change(LastUpdate=[2, 0, 0, 0])
    await service.ledger.approvals.approve(ANN, approval)
    failed = await until_state(service, approval, ApprovalState.FAILED)
    assert failed.reason == "Newer weights of this hotkey were set meanwhile"
    assert in_pool(node) == []


async def test_weights_are_not_set_after_newer_ones(node: LiveNode, service: BittensorService) -> None:
    older = waiting(await set_weights(service))
    newer = waiting(await set_weights(service, weights=[1, 2, 4]))
    await service.ledger.approvals.approve(ANN, newer)
    await until_state(service, newer, ApprovalState.SPENT)
    await eventually(lambda: len(in_pool(node)) == 1)
    node.produce()
    await service.ledger.approvals.approve(ANN, older)
    failed = await until_state(service, older, ApprovalState.FAILED)
    assert failed.reason == "Newer weights of this hotkey were set meanwhile"
    assert len(await signed(service)) == 1


async def background(service: BittensorService, headers: dict[str, str] | None = None, **more: Any) -> str:
    asked = body(**more) | {"async": True}
    answer = await service.client.post("/wallet/set_weights", json=asked, headers=headers)
    assert answer.status_code == 202
    job: str = answer.json()["job_id"]
    return job


async def approval_of(service: BittensorService, job: str, headers: dict[str, str] | None = None) -> str:
    async def seen() -> dict[str, Any]:
        found: dict[str, Any] = (await service.client.get(f"/wallet/jobs/{job}", headers=headers)).json()
        return found

    async def is_waiting() -> bool:
        return (await seen())["approval_id"] is not None

    await until_true(is_waiting)
    found = await seen()
    assert found["status"] == "waiting"
    return str(found["approval_id"])


async def test_a_job_of_the_background_waits_for_people(node: LiveNode, service: BittensorService) -> None:
    job = await background(service)
    approval = await approval_of(service, job)
    await service.ledger.approvals.approve(ANN, approval)
    await until_state(service, approval, ApprovalState.SPENT)
    await eventually(lambda: len(in_pool(node)) == 1)
    assert len(await signed(service)) == 1


async def test_a_job_that_people_refuse_ends(service: BittensorService) -> None:
    job = await background(service)
    await service.ledger.approvals.refuse(ANN, await approval_of(service, job), "no")
    ended = await settled(service, job)
    assert (ended["status"], ended["result"]["error"]["name"]) == ("done", "ApprovalRefused")
    assert await signed(service) == []


async def test_newer_weights_take_the_place_of_a_job_that_waits_for_people(
    service: BittensorService,
) -> None:
    older = await background(service)
    approval = await approval_of(service, older)
    newer = await background(service, weights=[1, 2, 4])
    ended = await settled(service, older)
    assert ended["result"]["error"]["name"] == "Superseded"
    failed = await service.ledger.approvals.show(approval)
    assert (failed.state, failed.reason) == (ApprovalState.FAILED, f"The job {older} has ended: Superseded")
    assert await approval_of(service, newer) != approval
    assert await signed(service) == []


async def revoke(service: BittensorService, headers: dict[str, str]) -> None:
    await service.ledger.tokens.revoke(OPERATOR, headers["Authorization"].split("_")[1])


async def test_nobody_is_asked_about_a_job_that_has_ended(service: BittensorService) -> None:
    """Its key or its token is gone, or a rule denies it now."""
    mine = await service.token()
    job = await background(service, headers=mine)
    approval = await approval_of(service, job, mine)
    await revoke(service, mine)
    failed = await until_state(service, approval, ApprovalState.FAILED)
    assert failed.reason == f"The job {job} has ended: TokenRevoked"
    job = await background(service)
    approval = await approval_of(service, job)
    await service.ledger.rules.add(OPERATOR, "nothing", json.dumps({"effect": "deny"}))
    failed = await until_state(service, approval, ApprovalState.FAILED)
    assert failed.reason == f"The job {job} has ended: RuleDenied"
    await service.ledger.rules.remove(OPERATOR, "nothing")
    job = await background(service)
    approval = await approval_of(service, job)
    await service.ledger.wallets.remove(OPERATOR, hotkey(WALLET, HOTKEY))
    failed = await until_state(service, approval, ApprovalState.FAILED)
    assert failed.reason == f"The job {job} has ended: KeyRemoved"
    assert await service.ledger.approvals.list() == []
    assert await signed(service) == []


async def transfer(
    service: BittensorService, headers: dict[str, str], key: str, amount: int
) -> httpx2.Response:
    data = {"destination": HOT.address, "amount_rao": amount, "wait_for_inclusion": True}
    return await service.client.post(
        "/wallet/transfer",
        json={"wallet_name": "payer", "transaction_data": data},
        headers=headers | {"Idempotency-Key": key},
    )


async def test_an_approved_payment_is_paid_once(node: LiveNode, service: BittensorService) -> None:
    headers = await service.token(calls=(TRANSFER,), coldkey=True)
    approval = waiting(await transfer(service, headers, "invoice", TAO))
    other = await transfer(service, headers, "invoice", 2 * TAO)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    found = await service.ledger.approvals.show(approval)
    assert found.terms["payments"] == [{"destination": HOT.address, "amountRaw": str(TAO), "asset": ""}]
    await service.ledger.approvals.approve(ANN, approval)
    await until_state(service, approval, ApprovalState.SPENT)
    await eventually(lambda: len(in_pool(node)) == 1)
    again = asyncio.create_task(transfer(service, headers, "invoice", TAO))
    await eventually(lambda: len(in_pool(node)) == 1)
    node.produce()
    assert (await again).json()["success"] is True
    assert await signed(service) == [TRANSFER]


async def test_a_revoked_token_s_request_is_not_carried_out(service: BittensorService) -> None:
    headers = await service.token(calls=(TRANSFER,), coldkey=True)
    approval = waiting(await transfer(service, headers, "invoice", TAO))
    await revoke(service, headers)
    await service.ledger.approvals.approve(ANN, approval)
    await until_state(service, approval, ApprovalState.FAILED)
    assert await signed(service) == []


async def test_a_message_is_signed_when_its_client_asks_again(service: BittensorService) -> None:
    login = "1763729464123"
    approval = waiting(await service.sign(login))
    assert waiting(await service.sign("1763729464124")) != approval
    await service.ledger.approvals.approve(ANN, approval)
    assert (await service.sign(login)).status_code == 200
    assert (await service.ledger.approvals.show(approval)).state is ApprovalState.SPENT
    assert waiting(await service.sign(login)) != approval


async def test_an_sdk_s_extrinsic_is_signed_when_it_asks_again(service: BittensorService) -> None:
    """For the same call, whatever its era."""
    headers = await service.token(calls=(SERVE_AXON,))
    chain = service.ledger.chain_work.chain
    runtime, heads = await chain.runtime(), await chain.heads()
    served = {"version": 1, "ip": 1, "port": 1, "ip_type": 4, "protocol": 4}
    arguments = {"netuid": NETUID} | served | {"placeholder1": 0, "placeholder2": 0}

    async def ask(period: int, **more: int) -> httpx2.Response:
        call = Call(pallet="SubtensorModule", function="serve_axon", arguments=arguments | more)
        document = {
            "wallet_name": WALLET,
            "hotkey_name": HOTKEY,
            "call": f"0x{runtime.encode(call).hex()}",
            "era": f"0x{Era.starting(heads.final.number, period).encode().hex()}",
            "nonce": 0,
        }
        return await service.client.post("/wallet/extrinsics/sign", json=document, headers=headers)

    approval = waiting(await ask(16))
    assert waiting(await ask(16, port=2)) != approval
    await service.ledger.approvals.approve(ANN, approval)
    assert (await ask(32)).status_code == 200
    assert await signed(service) == [SERVE_AXON]
