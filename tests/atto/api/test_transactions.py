"""Routes 15 and 16, and transactions by hash: documents, statuses and words."""

from typing import Any

import pytest

from strongroom.atto.protocol import MAX_SUPPLY_RAW
from strongroom_sandbox.atto import GENESIS_ADDRESS
from support.atto_network import AttoNetwork
from support.atto_service import ATTO, NOBODY, AttoService, assert_refused, entry

pytestmark = pytest.mark.anyio
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def service(shared_service: AttoService) -> AttoService:
    return shared_service


@pytest.fixture
async def funded(service: AttoService, network: AttoNetwork) -> str:
    """An account with 50 ATTO."""
    return await service.open_account(network)


@pytest.fixture(scope="module")
async def untouched(shared_service: AttoService, shared_network: AttoNetwork) -> str:
    """An account with 50 ATTO for the tests that must not change it."""
    return await shared_service.open_account(shared_network)


def path_of(address: str, kind: str) -> str:
    return f"/wallets/accounts/{address}/transactions/{kind}"


async def test_send_answers_with_its_entry(service: AttoService, network: AttoNetwork, funded: str) -> None:
    answer = entry(await service.send(funded, NOBODY, 10 * ATTO))
    state = network.state(funded)
    assert state is not None
    assert answer == {
        "hash": state.frontier.hex().upper(),
        "address": funded,
        "height": 2,
        "blockType": "SEND",
        "subjectAddress": NOBODY,
        "previousBalance": 50 * ATTO,
        "balance": 40 * ATTO,
        "timestamp": state.timestamp_ms,
    }
    assert network.receivables(NOBODY)[state.frontier] == 10 * ATTO


async def test_change_answers_with_its_entry(service: AttoService, network: AttoNetwork, funded: str) -> None:
    answer = entry(await service.change(funded, f"atto://{NOBODY}"))
    state = network.state(funded)
    assert state is not None
    assert answer == {
        "hash": state.frontier.hex().upper(),
        "address": funded,
        "height": 2,
        "blockType": "CHANGE",
        "subjectAddress": NOBODY,
        "previousBalance": 50 * ATTO,
        "balance": 50 * ATTO,
        "timestamp": state.timestamp_ms,
    }


async def test_entries_of_arrivals_name_their_sender(service: AttoService, funded: str) -> None:
    (opened,) = await service.post(
        "/wallets/accounts/entries", {"search": [{"address": funded, "fromHeight": 1}]}
    )
    expected = {"height": 1, "blockType": "OPEN", "previousBalance": 0, "balance": 50 * ATTO}
    assert {name: opened[name] for name in expected} == expected
    assert opened["subjectAddress"] == GENESIS_ADDRESS.path


async def test_payment_within_a_wallet_arrives(
    service: AttoService, network: AttoNetwork, funded: str
) -> None:
    other = await service.open_account(network, 1)
    sent = entry(await service.send(funded, other, ATTO))
    details = await service.until_balance(other, ATTO + 1)
    received = (await service.get(f"/wallets/accounts/{other}/entries"))["entries"][0]
    assert received == {
        "hash": details["lastTransactionHash"],
        "address": other,
        "height": 2,
        "blockType": "RECEIVE",
        "subjectAddress": sent["address"],
        "previousBalance": 1,
        "balance": ATTO + 1,
        "timestamp": details["lastTransactionTimestamp"],
    }


@pytest.mark.parametrize("amount", [3, "3", "0003"])
async def test_amount_is_a_number_or_a_decimal_string(
    service: AttoService, funded: str, amount: int | str
) -> None:
    assert entry(await service.send(funded, NOBODY, amount))["balance"] == 50 * ATTO - 3


async def test_receiver_is_a_path_or_a_uri(service: AttoService, funded: str) -> None:
    assert entry(await service.send(funded, f"atto://{NOBODY}", 1))["subjectAddress"] == NOBODY


@pytest.mark.parametrize("last_height", [1, "1"])
async def test_send_at_the_given_height(service: AttoService, funded: str, last_height: int | str) -> None:
    assert entry(await service.send(funded, NOBODY, 1, lastHeight=last_height))["height"] == 2


@pytest.mark.parametrize("last_height", [0, 2, 2**64 - 1, "2"])
async def test_send_at_another_height_is_a_conflict(
    service: AttoService, untouched: str, last_height: int | str
) -> None:
    words = (
        f"Given height for atto://{untouched} does not match last known height 1. "
        "List all the newest transactions and try again!"
    )
    response = await service.send(untouched, NOBODY, 1, lastHeight=last_height)
    assert_refused(response, 409, words, "height_mismatch")


async def test_null_height_is_no_height(service: AttoService, funded: str) -> None:
    assert entry(await service.send(funded, NOBODY, 1, lastHeight=None))["height"] == 2


RANGE = f"amount must be an integer from 0 to {MAX_SUPPLY_RAW}"


@pytest.mark.parametrize(
    ("amount", "words", "code"),
    [
        (0, "Amount must be greater than 0", "invalid_amount"),
        (50 * ATTO + 1, "Not enough balance.", "insufficient_balance"),
        (MAX_SUPPLY_RAW, "Not enough balance.", "insufficient_balance"),
        (MAX_SUPPLY_RAW + 1, RANGE, "invalid_number"),
        (2**64, RANGE, "invalid_number"),
        (-1, RANGE, "invalid_number"),
        ("-1", RANGE, "invalid_number"),
        ("", RANGE, "invalid_number"),
        (" 1", RANGE, "invalid_number"),
        ("1.0", RANGE, "invalid_number"),
        ("1e3", RANGE, "invalid_number"),
        ("0x10", RANGE, "invalid_number"),
        ("٣", RANGE, "invalid_number"),
        ("9" * 6000, RANGE, "invalid_number"),
    ],
)
async def test_impossible_amount_is_refused(
    service: AttoService, untouched: str, amount: int | str, words: str, code: str
) -> None:
    assert_refused(await service.send(untouched, NOBODY, amount), 400, words, code)


@pytest.mark.parametrize(
    "body",
    [
        '{"receiverAddress":"%s","amount":1.0}',
        '{"receiverAddress":"%s","amount":1e3}',
        '{"receiverAddress":"%s","amount":true}',
        '{"receiverAddress":"%s","amount":null}',
        '{"receiverAddress":"%s"}',
        '{"receiverAddress":"%s","amount":{}}',
        '{"receiverAddress":"%s","amount":1,"lastHeight":1.5}',
        '{"receiverAddress":["%s"],"amount":1}',
        '{"amount":1}',
        '{"receiverAddress":"%s","amount":1',
        '[{"receiverAddress":"%s","amount":1}]',
        '{"receiverAddress":"%s","amount":' + "9" * 6000 + "}",
        "null",
        "",
    ],
)
async def test_unreadable_send_is_refused(service: AttoService, untouched: str, body: str) -> None:
    content = body.replace("%s", NOBODY)
    response = await service.client.post(path_of(untouched, "SEND"), content=content, headers=JSON)
    document = response.json()
    assert (response.status_code, document["error"]) == (400, "Bad Request"), response.text
    assert document["message"]
    assert (await service.until_balance(untouched, 50 * ATTO))["height"] == 1


async def test_unreadable_body_is_called_so(service: AttoService, untouched: str) -> None:
    response = await service.client.post(path_of(untouched, "SEND"), content="{", headers=JSON)
    assert response.json()["message"].startswith("Failed to read HTTP message")


async def test_unknown_fields_are_ignored(service: AttoService, funded: str) -> None:
    assert entry(await service.send(funded, NOBODY, 1, memo="for the cat"))["height"] == 2


async def test_a_body_that_is_not_declared_as_json_moves_nothing(service: AttoService, funded: str) -> None:
    """A page on another site can send one without asking; `curl -d` alone calls it a form."""
    content = f'{{"receiverAddress":"{NOBODY}","amount":1}}'
    for header in ({}, {"Content-Type": "application/x-www-form-urlencoded"}, {"Content-Type": "text/plain"}):
        response = await service.client.post(path_of(funded, "SEND"), content=content, headers=header)
        assert response.status_code == 415, response.text
    details = await service.details(funded)
    assert details is not None
    assert details["height"] == 1


async def test_a_send_to_the_own_account_is_refused(service: AttoService, untouched: str) -> None:
    words = "You can't send money to yourself"
    assert_refused(await service.send(untouched, untouched, 1), 400, words, "invalid_transaction")


async def test_present_representative_is_refused(service: AttoService, untouched: str) -> None:
    words = "The account already has this representative"
    assert_refused(await service.change(untouched, untouched), 400, words, "same_representative")


@pytest.mark.parametrize("address", ["x", NOBODY[:-1] + "a", NOBODY.upper(), "", "http://" + NOBODY])
async def test_malformed_address_in_the_body_is_refused(
    service: AttoService, untouched: str, address: str
) -> None:
    for response in (await service.send(untouched, address, 1), await service.change(untouched, address)):
        assert (response.status_code, response.json()["code"]) == (400, "invalid_address")
        assert response.json()["message"].startswith("Invalid address: ")


async def test_unknown_account_is_not_found(service: AttoService) -> None:
    words = f"Address  atto://{NOBODY} wasn't found"
    for response in (await service.send(NOBODY, NOBODY, 1), await service.change(NOBODY, NOBODY)):
        assert_refused(response, 404, words, "account_not_found")


async def test_change_of_an_unopened_account_is_not_found(service: AttoService) -> None:
    address = await service.create_account()
    words = f"Account atto://{address} is not open yet. Please receive some attos before try again"
    assert_refused(await service.change(address, NOBODY), 404, words, "account_not_open")


async def test_refused_send_costs_no_work(service: AttoService, network: AttoNetwork, untouched: str) -> None:
    """The original searches first and looks at the amount afterwards."""
    before = len(network.worker.targets)
    for amount in (0, 51 * ATTO):
        assert (await service.send(untouched, NOBODY, amount)).status_code == 400
    assert len(network.worker.targets) == before


async def test_transaction_is_found_by_its_hash(service: AttoService, funded: str) -> None:
    sent = entry(await service.send(funded, NOBODY, 1))
    expected: dict[str, Any] = {
        "hash": sent["hash"],
        "state": "CONFIRMED",
        "reason": None,
        "entry": sent,
    }
    assert await service.get(f"/wallets/accounts/transactions/{sent['hash']}") == expected
    assert await service.get(f"/wallets/accounts/transactions/{sent['hash'].lower()}") == expected


async def test_arrival_is_found_by_its_hash(service: AttoService, funded: str) -> None:
    details = await service.details(funded)
    assert details is not None
    found = await service.get(f"/wallets/accounts/transactions/{details['lastTransactionHash']}")
    assert (found["state"], found["entry"]["blockType"]) == ("CONFIRMED", "OPEN")


async def test_unknown_transaction_is_not_found(service: AttoService) -> None:
    unknown = "0F" * 32
    response = await service.client.get(f"/wallets/accounts/transactions/{unknown}")
    assert_refused(response, 404, f"Transaction {unknown} wasn't found", "transaction_not_found")


@pytest.mark.parametrize("text", ["x", "0F" * 31, "0F" * 33, "zz" * 32, "é" * 64])
async def test_malformed_hash_is_refused(service: AttoService, text: str) -> None:
    response = await service.client.get(f"/wallets/accounts/transactions/{text}")
    assert (response.status_code, response.json()["message"]) == (400, "A hash has 64 hex digits")


async def test_body_above_a_megabyte_is_refused(service: AttoService, untouched: str) -> None:
    response = await service.client.post(path_of(untouched, "SEND"), content=b" " * 1_000_001, headers=JSON)
    assert (response.status_code, response.json()["error"]) == (413, "Request Entity Too Large")


async def test_unknown_route_and_method_have_the_error_form(service: AttoService) -> None:
    for response, status in (
        (await service.client.get("/nowhere"), 404),
        (await service.client.post(path_of(NOBODY, "RECEIVE")), 404),
        (await service.client.delete("/wallets/x"), 405),
    ):
        document = response.json()
        assert list(document) == ["timestamp", "path", "status", "error", "requestId", "message", "code"]
        assert (response.status_code, document["status"]) == (status, status)


async def test_callback_sink_takes_anything(service: AttoService) -> None:
    for content in (b"", b"{", b"\xff", b'{"hash":"x"}'):
        response = await service.client.post("/noop", content=content, headers=JSON)
        assert (response.status_code, response.content) == (200, b"")
