"""Pages of history, what is receivable, totals: answered from the service's own store."""

from typing import Any

import pytest

from strongroom_sandbox.atto import GENESIS_ADDRESS
from support.atto_network import AttoNetwork
from support.atto_service import NOBODY, AttoService, Wallet, assert_refused, entry, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def service(shared_service: AttoService) -> AttoService:
    return shared_service


@pytest.fixture
async def wallet(service: AttoService) -> Wallet:
    return await service.create_wallet()


async def pages(service: AttoService, path: str, limit: int) -> list[list[dict[str, Any]]]:
    """Every page until the last."""
    found, cursor = [], ""
    while True:
        page = await service.get(f"{path}?limit={limit}{cursor}")
        assert set(page) == {"entries", "nextCursor"}
        found.append(page["entries"])
        if page["nextCursor"] is None:
            return found
        cursor = f"&cursor={page['nextCursor']}"


async def test_history_of_an_account_comes_in_pages_newest_first(
    service: AttoService, network: AttoNetwork
) -> None:
    address = await service.open_account(network, 100)
    sent = [entry(await service.send(address, NOBODY, 1)) for _ in range(4)]
    path = f"/wallets/accounts/{address}/entries"
    by_two = await pages(service, path, 2)
    assert [len(page) for page in by_two] == [2, 2, 1]
    assert [one for page in by_two for one in page][:4] == sent[::-1]
    assert [one["height"] for one in (await service.get(path))["entries"]] == [5, 4, 3, 2, 1]
    assert len(await pages(service, path, 5)) == 1


async def test_history_of_a_wallet_comes_in_pages_newest_first(
    service: AttoService, network: AttoNetwork, wallet: Wallet
) -> None:
    first = await service.open_account(network, 100, wallet)
    second = await service.open_account(network, 100, wallet)
    for number in range(5):
        entry(await service.send(first if number % 2 else second, NOBODY, 1))
    path = f"/wallets/{wallet.name}/entries"
    (whole,) = await pages(service, path, 1000)
    assert len(whole) == 7
    order = [(one["timestamp"], one["address"], one["height"]) for one in whole]
    assert order == sorted(order, reverse=True)
    for limit in (1, 2, 3, 7):
        assert [one for page in await pages(service, path, limit) for one in page] == whole


async def test_what_comes_between_two_pages_moves_none(service: AttoService, network: AttoNetwork) -> None:
    address = await service.open_account(network, 100)
    entry(await service.send(address, NOBODY, 1))
    path = f"/wallets/accounts/{address}/entries"
    before = await service.get(f"{path}?limit=1")
    entry(await service.send(address, NOBODY, 1))
    after = await service.get(f"{path}?limit=1&cursor={before['nextCursor']}")
    assert [before["entries"][0]["height"], after["entries"][0]["height"]] == [2, 1]
    assert after["nextCursor"] is None


async def test_history_of_an_unopened_account_is_empty(service: AttoService, wallet: Wallet) -> None:
    address = await service.create_account(wallet)
    empty: dict[str, Any] = {"entries": [], "nextCursor": None}
    assert await service.get(f"/wallets/accounts/{address}/entries") == empty
    assert await service.get(f"/wallets/{wallet.name}/entries") == empty


@pytest.mark.parametrize(
    "cursor", ["x", "", "%F0%9F%A6%8A", "MQ:Mg", "LTE", "MTIz" * 20, "MS41", "OmE6", "AA"]
)
async def test_cursor_of_another_list_is_refused(service: AttoService, wallet: Wallet, cursor: str) -> None:
    address = await service.create_account(wallet)
    paths = (f"/wallets/{wallet.name}/entries", f"/wallets/accounts/{address}/entries")
    for path in paths:
        response = await service.client.get(f"{path}?cursor={cursor}")
        assert (response.status_code, response.json()["message"]) == (
            400,
            "The cursor is not one of this service",
        )


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "1.5", "9" * 5000])
async def test_impossible_limit_is_refused(service: AttoService, wallet: Wallet, limit: str) -> None:
    response = await service.client.get(f"/wallets/{wallet.name}/entries?limit={limit}")
    assert response.status_code == 400
    assert response.json()["message"].startswith("Failed to read HTTP message: limit: ")


async def test_unknown_wallet_is_not_found(service: AttoService) -> None:
    for what in ("entries", "receivables", "totals", "labels"):
        response = await service.client.get(f"/wallets/nowhere/{what}")
        assert_refused(response, 404, "Wallet nowhere does not exist", "wallet_not_found")


async def test_receivables_and_totals_of_a_locked_wallet(
    service: AttoService, network: AttoNetwork, wallet: Wallet
) -> None:
    first = await service.open_account(network, 100, wallet)
    second = await service.create_account(wallet)
    await service.lock(wallet)
    hashes = [await network.fund(second, 7), await network.fund(first, 2**62)]
    path = f"/wallets/{wallet.name}"
    waiting = await until(lambda: service.get(f"{path}/receivables"), lambda found: len(found) == 2)
    timestamps = [one.pop("timestamp") for one in waiting]
    assert timestamps == sorted(timestamps)
    assert waiting == [
        {
            "hash": hash_.hex().upper(),
            "address": address,
            "amount": amount,
            "senderAddress": GENESIS_ADDRESS.path,
            "problem": None,
        }
        for hash_, address, amount in zip(hashes, (second, first), (7, 2**62), strict=True)
    ]
    of_second = await service.get(f"/wallets/accounts/{second}/receivables")
    assert [one["amount"] for one in of_second] == [7]
    assert await service.get(f"{path}/totals") == {
        "name": wallet.name,
        "accounts": 2,
        "openedAccounts": 1,
        "balance": 100,
        "receivableCount": 2,
        "receivableAmount": 2**62 + 7,
    }
    await service.unlock(wallet)
    await service.until_balance(first, 2**62 + 100)
    await service.until_balance(second, 7)
    totals = await until(lambda: service.get(f"{path}/totals"), lambda one: one["receivableCount"] == 0)
    assert (totals["openedAccounts"], totals["balance"]) == (2, 2**62 + 107)
