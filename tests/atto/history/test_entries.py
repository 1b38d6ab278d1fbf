"""Route 17: entries as JSON and as lines, searched and not."""

import json
from typing import Any

import pytest

from support.atto_network import AttoNetwork
from support.atto_service import NOBODY, AttoService, Wallet, assert_refused, entry

pytestmark = pytest.mark.anyio
PATH = "/wallets/accounts/entries"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
async def wallet(shared_service: AttoService) -> Wallet:
    return await shared_service.create_wallet()


@pytest.fixture(scope="module")
async def payer(shared_service: AttoService, shared_network: AttoNetwork, wallet: Wallet) -> str:
    """An account with an OPEN, two SENDs and a CHANGE."""
    address = await shared_service.open_account(shared_network, 100, wallet)
    entry(await shared_service.send(address, NOBODY, 10))
    entry(await shared_service.change(address, NOBODY))
    entry(await shared_service.send(address, NOBODY, 5))
    return address


@pytest.fixture
def service(shared_service: AttoService) -> AttoService:
    return shared_service


async def search(service: AttoService, *items: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await service.post(PATH, {"search": list(items)})
    return found


async def test_entries_tell_the_chain(service: AttoService, network: AttoNetwork, payer: str) -> None:
    found = await search(service, {"address": payer, "fromHeight": 1})
    assert [(one["height"], one["blockType"], one["previousBalance"], one["balance"]) for one in found] == [
        (1, "OPEN", 0, 100),
        (2, "SEND", 100, 90),
        (3, "CHANGE", 90, 90),
        (4, "SEND", 90, 85),
    ]
    assert [one["subjectAddress"] for one in found[1:]] == [NOBODY] * 3
    state = network.state(payer)
    assert state is not None
    assert found[-1]["hash"] == state.frontier.hex().upper()


async def test_search_starts_at_its_height_and_ends_at_the_present(service: AttoService, payer: str) -> None:
    """`toHeight` is read and not used, as in the original."""
    for height in (3, "3"):
        found = await search(service, {"address": f"atto://{payer}", "fromHeight": height, "toHeight": 3})
        assert [one["height"] for one in found] == [3, 4]


@pytest.mark.parametrize("height", [5, 2**63, 2**64 - 1])
async def test_search_above_the_present_finds_nothing(service: AttoService, payer: str, height: int) -> None:
    assert await search(service, {"address": payer, "fromHeight": height}) == []


async def test_unknown_and_unopened_accounts_are_dropped(service: AttoService, payer: str) -> None:
    unopened = await service.create_account()
    found = await search(
        service,
        {"address": NOBODY, "fromHeight": 1},
        {"address": unopened, "fromHeight": 1},
        {"address": payer, "fromHeight": 4},
    )
    assert [(one["address"], one["height"]) for one in found] == [(payer, 4)]


async def test_empty_search_finds_nothing(service: AttoService) -> None:
    assert await search(service) == []


async def test_without_a_search_come_all_entries_of_enabled_accounts(
    service: AttoService, network: AttoNetwork, payer: str
) -> None:
    disabled = await service.open_account(network, 3)
    assert len(await search(service, {"address": disabled, "fromHeight": 1})) == 1
    await service.post(f"/wallets/accounts/{disabled}/states/DISABLED")
    everything = await service.post(PATH)
    assert disabled not in {one["address"] for one in everything}
    assert [one["height"] for one in everything if one["address"] == payer] == [1, 2, 3, 4]
    assert (await service.client.post(PATH, content="null", headers=JSON)).json() == everything
    assert len(await search(service, {"address": disabled, "fromHeight": 1})) == 1


@pytest.mark.parametrize("accept", ["application/json", "*/*"])
async def test_json_is_one_array(service: AttoService, payer: str, accept: str) -> None:
    body = {"search": [{"address": payer, "fromHeight": 1}]}
    response = await service.client.post(PATH, json=body, headers={"Accept": accept})
    assert response.headers["content-type"] == "application/json"
    assert len(response.json()) == 4


async def test_ndjson_is_an_entry_a_line(service: AttoService, payer: str) -> None:
    body = {"search": [{"address": payer, "fromHeight": 1}]}
    response = await service.client.post(PATH, json=body, headers={"Accept": "application/x-ndjson"})
    assert response.headers["content-type"] == "application/x-ndjson"
    assert response.text.endswith("\n")
    lines = [json.loads(line) for line in response.text.splitlines()]
    assert lines == await search(service, *body["search"])
    nothing = await service.client.post(PATH, json={"search": []}, headers={"Accept": "application/x-ndjson"})
    assert (nothing.status_code, nothing.content) == (200, b"")


@pytest.mark.parametrize(
    ("height", "words"),
    [
        (0, "fromHeight must be greater than 0"),
        ("0", "fromHeight must be greater than 0"),
        (-1, "fromHeight must be an integer from 0 to 18446744073709551615"),
        (2**64, "fromHeight must be an integer from 0 to 18446744073709551615"),
        (1.0, "fromHeight must be an integer from 0 to 18446744073709551615"),
        ("x", "fromHeight must be an integer from 0 to 18446744073709551615"),
    ],
)
async def test_impossible_height_is_refused(
    service: AttoService, payer: str, height: float | str, words: str
) -> None:
    response = await service.client.post(PATH, json={"search": [{"address": payer, "fromHeight": height}]})
    assert_refused(response, 400, words, "invalid_number")


@pytest.mark.parametrize(
    "content", ["{}", "[]", "{", '{"search":null}', '{"search":[1]}', '{"search":[{"address":"x"}]}', "1"]
)
async def test_unreadable_search_is_refused(service: AttoService, content: str) -> None:
    response = await service.client.post(PATH, content=content, headers=JSON)
    assert response.status_code == 400, response.text
    assert response.json()["message"].startswith("Failed to read HTTP message")


async def test_malformed_address_is_refused(service: AttoService) -> None:
    response = await service.client.post(PATH, json={"search": [{"address": "x", "fromHeight": 1}]})
    assert (response.status_code, response.json()["code"]) == (400, "invalid_address")
