"""What the node answers about the ledger, the time and the votes."""

import asyncio

import pytest

from strongroom.atto.protocol import (
    MAX_SUPPLY_RAW,
    decode_account_entry,
    decode_account_states,
    encode_transaction,
)
from strongroom_sandbox.atto import GENESIS_ADDRESS
from support.atto_account import account
from support.atto_sandbox import SandboxNode
from support.clock import START_MS

pytestmark = pytest.mark.anyio
ALICE, BOB = account(1), account(2)
GENESIS_HEX = GENESIS_ADDRESS.public_key.hex().upper()


async def test_account_is_its_state(node: SandboxNode) -> None:
    state = await node.open(ALICE)
    response = await node.client.get(f"/accounts/{ALICE.hex}")
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "publicKey": ALICE.hex,
        "network": "LOCAL",
        "version": 0,
        "algorithm": "V1",
        "height": 1,
        "balance": 1000,
        "lastTransactionHash": state.frontier.hex().upper(),
        "lastTransactionTimestamp": START_MS + 1,
        "representativeAlgorithm": "V1",
        "representativePublicKey": ALICE.hex,
    }


async def test_account_that_is_not_open_is_an_empty_404(node: SandboxNode) -> None:
    response = await node.client.get(f"/accounts/{ALICE.hex}")
    assert (response.status_code, response.content) == (404, b"")


async def test_key_that_is_none_is_a_400_in_the_frameworks_form(node: SandboxNode) -> None:
    response = await node.client.get("/accounts/abc")
    assert response.status_code == 400
    assert response.json() == {
        "timestamp": "2027-01-15T08:00:00.000Z",
        "path": "/accounts/abc",
        "status": 400,
        "error": "Bad Request",
        "requestId": "00000001",
        "message": "Type mismatch.",
    }


async def test_unknown_route_and_wrong_method_have_the_same_form(node: SandboxNode) -> None:
    missing = await node.client.get("/nothing/here")
    wrong = await node.client.put("/accounts")
    assert [(answer.status_code, answer.json()["error"]) for answer in (missing, wrong)] == [
        (404, "Not Found"),
        (405, "Method Not Allowed"),
    ]


async def test_accounts_are_those_that_are_open(node: SandboxNode) -> None:
    alice = await node.open(ALICE)
    search = {"addresses": [BOB.address.uri, ALICE.address.path]}
    response = await node.client.post("/accounts", json=search)
    assert decode_account_states(response.content) == [alice]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b'{"addresses":["atto://nobody"]}', "application/json", 400),
        (b'{"addresses":', "application/json", 400),
        (b"{}", "application/json", 400),
        (b'{"addresses":[]}', "text/plain", 415),
    ],
)
async def test_unreadable_search_is_refused(
    node: SandboxNode, body: bytes, content_type: str, status: int
) -> None:
    response = await node.client.post("/accounts", content=body, headers={"content-type": content_type})
    assert (response.status_code, response.json()["status"]) == (status, status)


async def test_top_accounts_come_by_balance(node: SandboxNode) -> None:
    alice = await node.open(ALICE)
    response = await node.client.get("/accounts/top")
    assert [state.public_key for state in decode_account_states(response.content)] == [
        GENESIS_ADDRESS.public_key,
        alice.public_key,
    ]


async def test_transaction_is_found_by_its_hash(node: SandboxNode) -> None:
    state = await node.open(ALICE)
    transaction = node.sandbox.chain.transaction(state.frontier)
    assert transaction is not None
    found = await node.client.get(f"/transactions/{state.frontier.hex()}")
    assert (found.status_code, found.content) == (200, encode_transaction(transaction))
    missing = await node.client.get(f"/transactions/{bytes(32).hex()}")
    assert (missing.status_code, missing.content) == (404, b"")


@pytest.mark.parametrize(
    ("client_instant", "answer"),
    [
        (
            "2027-01-15T07:59:59.250Z",
            {
                "clientInstant": "2027-01-15T07:59:59.250Z",
                "serverInstant": "2027-01-15T08:00:00Z",
                "differenceMillis": 750,
            },
        ),
        (
            "2027-01-15T09:00:01.000001+01:00",
            {
                "clientInstant": "2027-01-15T08:00:01Z",
                "serverInstant": "2027-01-15T08:00:00Z",
                "differenceMillis": -1000,
            },
        ),
    ],
)
async def test_instant_is_compared(node: SandboxNode, client_instant: str, answer: dict[str, object]) -> None:
    response = await node.client.get(f"/instants/{client_instant}")
    assert response.json() == answer


@pytest.mark.parametrize("text", ["yesterday", "2027-01-15T08:00:00"])
async def test_instant_without_a_zone_is_none(node: SandboxNode, text: str) -> None:
    assert (await node.client.get(f"/instants/{text}")).status_code == 400


async def test_vote_weight_of_the_only_voter(node: SandboxNode) -> None:
    path = f"/vote-weights/{GENESIS_ADDRESS.path}"
    before = (await node.client.get(path)).json()
    await node.open(ALICE)
    after = (await node.client.get(path)).json()
    assert before == {"address": GENESIS_ADDRESS.uri, "weight": MAX_SUPPLY_RAW, "lastVotedAt": 0}
    assert after == {
        "address": GENESIS_ADDRESS.uri,
        "weight": MAX_SUPPLY_RAW - 1000,
        "lastVotedAt": START_MS,
    }


async def test_vote_weight_of_a_representative_that_does_not_vote(node: SandboxNode) -> None:
    await node.open(ALICE)
    response = await node.client.get(f"/vote-weights/{ALICE.address.path}")
    assert response.json() == {"address": ALICE.address.uri, "weight": 1000, "lastVotedAt": 0}


async def test_faucet_answers_with_the_entry_of_its_send(node: SandboxNode) -> None:
    response = await node.client.post("/_faucet", json={"address": ALICE.address.path, "amount": 7})
    entry = decode_account_entry(response.content)
    assert (entry.subject_public_key, entry.previous_balance - entry.balance) == (ALICE.public_key, 7)
    assert [item.hash for item in node.sandbox.chain.receivables([ALICE.public_key], 1)] == [entry.hash]


@pytest.mark.parametrize(
    "body",
    [
        {"address": "nobody", "amount": 7},
        {"address": ALICE.address.uri, "amount": 0},
        {"address": ALICE.address.uri, "amount": 1.5},
        {"address": GENESIS_ADDRESS.uri, "amount": 7},
    ],
)
async def test_faucet_refuses_what_cannot_be_sent(node: SandboxNode, body: dict[str, object]) -> None:
    assert (await node.client.post("/_faucet", json=body)).status_code == 400


async def test_faucet_serves_many_at_once(node: SandboxNode) -> None:
    entries = await asyncio.gather(*(node.sandbox.faucet(ALICE.address, 1) for _ in range(5)))
    assert sorted(entry.height for entry in entries) == [2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    "path", ["/accounts", "/accounts/stream", "/accounts/receivables/stream", "/transactions/stream"]
)
async def test_body_above_the_frameworks_limit_is_refused(node: SandboxNode, path: str) -> None:
    """As by a real node, which keeps the default of its framework."""
    addresses = [ALICE.address.uri] * 3800
    response = await node.client.post(path, json={"addresses": addresses})
    assert response.status_code == 413
    assert response.json()["message"] == "Exceeded limit on max bytes to buffer : 262144"
    fits = await node.client.post("/accounts", json={"addresses": addresses[:3500]})
    assert fits.status_code == 200
