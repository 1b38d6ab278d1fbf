"""The sandbox node takes what a node takes, refuses what a node refuses, and tells what it did as events."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from coincurve import PrivateKey

from strongroom.core.clock import SystemClock
from strongroom.hathor.protocol.addresses import MAINNET, public_key_address
from strongroom.hathor.protocol.headers import Fee, FeeHeader
from strongroom.hathor.protocol.scripts import Payment
from strongroom.hathor.protocol.signatures import sign_input
from strongroom.hathor.protocol.transactions import MINT, Input, Output, TokenInfo, Transaction
from strongroom.hathor.protocol.work import mine, minimum_weight
from strongroom_sandbox.hathor.node import WEIGHTS, Node, new_node
from strongroom_sandbox.hathor.rules import RejectedError
from support.hathor.running import serving_node

KEY = b"\7" * 32
OWNER = public_key_address(PrivateKey(KEY).public_key.format())
TEXT = OWNER.encode(MAINNET)


@pytest.fixture
def node() -> Node:
    return new_node(SystemClock(), MAINNET)


def draft(node: Node, value: int, *, spend: int = 1_000, token: TokenInfo | None = None) -> Transaction:
    """Pays `value` back to the owner out of a fresh output of `spend`."""
    funded = node.faucet(TEXT, spend)
    outputs: tuple[Output, ...] = (Output(value=value, token_data=0, script=Payment(address=OWNER).encode()),)
    if token is not None:
        outputs += (
            Output(value=500, token_data=1, script=Payment(address=OWNER).encode()),
            Output(value=MINT, token_data=0x81, script=Payment(address=OWNER).encode()),
        )
    return Transaction(
        inputs=(Input(tx_id=bytes.fromhex(funded.hash), index=0),),
        outputs=outputs,
        token_info=token,
        timestamp_s=funded.timestamp_s + 1,
        parents=tuple(map(bytes.fromhex, node.parents())),
    )


def finish(transaction: Transaction, key: bytes = KEY) -> bytes:
    """Signed and mined."""
    data = sign_input(transaction.signing_digest(), key)
    signed = transaction.with_input_data((data,) * len(transaction.inputs))
    return mine(replace(signed, weight=minimum_weight(signed, WEIGHTS))).encode()


def kinds(node: Node, since: int) -> list[str]:
    return [json.loads(event)["type"] for event in node.chain.journal.events[since:]]


def test_a_payment_is_taken_and_confirmed(node: Node) -> None:
    transaction = draft(node, 1_000)
    since = len(node.chain.journal.events)
    vertex = node.push(finish(transaction))
    assert vertex.outputs[0].address == TEXT
    assert kinds(node, since) == [
        "VERTEX_METADATA_CHANGED",
        "VERTEX_METADATA_CHANGED",
        "NEW_VERTEX_ACCEPTED",
    ]
    block = node.mine()
    assert vertex.first_block == block.hash


def test_a_token_costs_its_deposit(node: Node) -> None:
    token = TokenInfo(version=1, name="Test Token", symbol="TST")
    with pytest.raises(RejectedError, match="HTR balance"):
        node.push(finish(draft(node, 1_000, token=token)))
    vertex = node.push(finish(draft(node, 995, token=token)))
    assert vertex.tokens == [vertex.hash]
    assert kinds(node, 0)[-1] == "TOKEN_CREATED"


def test_a_fee_token_costs_a_fee_for_each_output_and_no_deposit(node: Node) -> None:
    token = TokenInfo(version=2, name="Fee Token", symbol="FEE")

    def paying(transaction: Transaction, fee: int) -> bytes:
        return finish(replace(transaction, headers=(FeeHeader(fees=(Fee(token_index=0, value=fee),)),)))

    with pytest.raises(RejectedError, match="Fee amount is different than expected"):
        node.push(finish(draft(node, 1_000, token=token)))
    with pytest.raises(RejectedError, match="HTR balance"):
        node.push(paying(draft(node, 995, token=token), 1))
    created = node.push(paying(draft(node, 999, token=token), 1))

    authority = Input(tx_id=bytes.fromhex(created.hash), index=2)
    mint = draft(node, 998)
    minted = tuple(
        Output(value=value, token_data=1, script=Payment(address=OWNER).encode()) for value in (300, 400)
    )
    mint = replace(
        mint,
        inputs=(*mint.inputs, authority),
        outputs=(*mint.outputs, *minted),
        token_ids=(bytes.fromhex(created.hash),),
    )
    with pytest.raises(RejectedError, match=r"amount=1, expected=2"):
        node.push(paying(mint, 1))
    assert node.push(paying(mint, 2)).tokens == [created.hash]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"timestamp_s": 1}, "must be newer"),
        ({"parents": ()}, "two parents"),
        ({"inputs": ()}, "at least one input"),
        ({"inputs": (Input(tx_id=b"\1" * 32, index=0),)}, "does not exist"),
        ({"outputs": ()}, "HTR balance"),
    ],
)
def test_broken_rules_are_refused(node: Node, change: dict[str, Any], message: str) -> None:
    with pytest.raises(RejectedError, match=message):
        node.push(finish(replace(draft(node, 1_000), **change)))


def test_what_is_not_signed_mined_or_balanced_is_refused(node: Node) -> None:
    transaction = draft(node, 1_000)
    with pytest.raises(RejectedError, match="another key"):
        node.push(finish(transaction, key=b"\x08" * 32))
    signed = transaction.with_input_data((sign_input(transaction.signing_digest(), KEY),))
    with pytest.raises(RejectedError, match="too small"):
        node.push(replace(signed, weight=0.5).encode())
    with pytest.raises(RejectedError, match="proof of work"):
        node.push(replace(signed, weight=60.0).encode())
    with pytest.raises(RejectedError, match="HTR balance"):
        node.push(finish(replace(transaction, outputs=(replace(transaction.outputs[0], value=1_001),))))
    node.push(finish(transaction))
    with pytest.raises(RejectedError, match="already exists"):
        node.push(finish(transaction))
    again = replace(transaction, timestamp_s=transaction.timestamp_s + 1)
    with pytest.raises(RejectedError, match="already been spent"):
        node.push(finish(again))


def test_a_timelock_holds(node: Node) -> None:
    transaction = draft(node, 1_000)
    later = transaction.timestamp_s + 50
    locked = replace(transaction.outputs[0], script=Payment(address=OWNER, timelock_s=later).encode())
    funded = node.push(finish(replace(transaction, outputs=(locked,))))
    spend = replace(
        transaction, inputs=(Input(tx_id=bytes.fromhex(funded.hash), index=0),), timestamp_s=later
    )
    with pytest.raises(RejectedError, match="time locked"):
        node.push(finish(spend))
    node.push(finish(replace(spend, timestamp_s=later + 1)))


@pytest.fixture
async def api(node: Node) -> AsyncIterator[aiohttp.ClientSession]:
    async with serving_node(node) as url, aiohttp.ClientSession(base_url=url) as session:
        yield session


async def test_routes(node: Node, api: aiohttp.ClientSession) -> None:
    async with api.post("/_faucet", json={"address": TEXT, "value": 700}) as response:
        tx_id = (await response.json())["hash"]
    async with api.get("transaction", params={"id": tx_id}) as response:
        body = await response.json()
        assert body["success"]
        assert body["tx"]["outputs"][0]["decoded"]["address"] == TEXT
    async with api.get("transaction", params={"id": "00"}) as response:
        assert await response.json() == {"success": False, "message": "Transaction not found"}
    async with api.get("transaction_acc_weight", params={"id": tx_id}) as response:
        assert "stop_value" not in await response.json()
    async with api.post("/_mine", json={}) as response:
        assert len((await response.json())["blocks"]) == 1
    async with api.get("transaction_acc_weight", params={"id": tx_id}) as response:
        assert "stop_value" in await response.json()
    async with api.get("graphviz/neighbours.dot/", params={"tx": tx_id, "graph_type": "funds"}) as response:
        assert (await response.json()).startswith("digraph {")
    async with api.get("graphviz/neighbours.dot/", params={"tx": "00", "graph_type": "funds"}) as response:
        assert await response.json() == {"success": False, "message": "Transaction not found"}
    async with api.get("version") as response:
        assert (await response.json())["reward_spend_min_blocks"] == 10
    async with api.get("status") as response:
        assert (await response.json())["dag"]["best_block"]["height"] == node.chain.height
    for bad in ("", "null", "{", '{"count":0}', '{"count":1000000000}', '{"address":"?"}'):
        height = node.chain.height
        async with api.post("/_mine", data=bad or "[") as response:
            assert response.status == 400
            assert (await response.json())["success"] is False
        assert node.chain.height == height
    async with api.post("/_fault", json={"unknown": 1}) as response:
        assert response.status == 400
    async with api.post("push_tx", json={"hex_tx": "00"}) as response:
        assert (await response.json())["success"] is False
    async with api.post("push_tx", json={"hex_tx": finish(draft(node, 1_000)).hex()}) as response:
        assert (await response.json())["success"] is True
    async with api.get("event", params={"size": 3, "last_ack_event_id": 1}) as response:
        page = await response.json()
        assert [event["id"] for event in page["events"]] == [2, 3, 4]
        assert page["latest_event_id"] == node.chain.journal.latest_id


async def test_token_details(node: Node, api: aiohttp.ClientSession) -> None:
    token = node.push(finish(draft(node, 995, token=TokenInfo(version=1, name="Test Token", symbol="TST"))))
    async with api.get("thin_wallet/token", params={"id": token.hash}) as response:
        body = await response.json()
    assert (body["name"], body["symbol"], body["total"]) == ("Test Token", "TST", 500)
    assert (body["can_mint"], body["can_melt"], body["transactions_count"]) == (True, False, 1)
    # One that names the token and gives none of it on counts too, as every one that the node lists.
    other = node.faucet(TEXT, 5)
    other.tokens = [token.hash]
    async with api.get("thin_wallet/token", params={"id": token.hash}) as response:
        assert (await response.json())["transactions_count"] == 2
    other.voided_by.add(other.hash)
    async with api.get("thin_wallet/token", params={"id": token.hash}) as response:
        assert (await response.json())["transactions_count"] == 1
    async with api.get("thin_wallet/token", params={"id": "ff"}) as response:
        assert (await response.json())["success"] is False
