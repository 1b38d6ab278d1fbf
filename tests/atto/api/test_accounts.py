"""Routes 7, 8 and 10 to 14, and labels: documents, statuses and words."""

import asyncio
from datetime import datetime
from urllib.parse import quote

import pytest

from strongroom.atto.protocol import AccountKeys, Address, Mnemonic
from support.atto_network import AttoNetwork
from support.atto_service import (
    NOBODY,
    AttoService,
    Wallet,
    assert_empty,
    assert_refused,
    until,
)

pytestmark = pytest.mark.anyio
UNKNOWN = f"Address  atto://{NOBODY} wasn't found"
NO_ADDRESS = NOBODY[:-1] + "a"  # the checksum is wrong


@pytest.fixture
def service(shared_service: AttoService) -> AttoService:
    return shared_service


@pytest.fixture
async def wallet(service: AttoService) -> Wallet:
    return await service.create_wallet()


def addresses_of(wallet: Wallet, indexes: range) -> list[str]:
    keys = AccountKeys(Mnemonic.parse(wallet.mnemonic).seed())
    return [Address(public_key=keys.public_key(index)).path for index in indexes]


async def test_accounts_follow_the_mnemonic(service: AttoService, wallet: Wallet) -> None:
    created = [await service.post(f"/wallets/{wallet.name}/accounts") for _ in range(3)]
    assert created == [
        {"address": address, "displayAddress": f"atto://{address}", "index": index}
        for index, address in enumerate(addresses_of(wallet, range(3)))
    ]


async def test_accounts_created_at_once_have_indexes_of_their_own(
    service: AttoService, wallet: Wallet
) -> None:
    created = await asyncio.gather(*(service.post(f"/wallets/{wallet.name}/accounts") for _ in range(12)))
    assert sorted(one["index"] for one in created) == list(range(12))
    assert {one["address"] for one in created} == set(addresses_of(wallet, range(12)))


async def test_next_account_follows_the_highest_index(service: AttoService, wallet: Wallet) -> None:
    await service.post(f"/wallets/{wallet.name}/accounts/ranges/4")
    assert (await service.post(f"/wallets/{wallet.name}/accounts"))["index"] == 5


async def test_range_returns_what_is_there_and_what_is_new(service: AttoService, wallet: Wallet) -> None:
    first = await service.post(f"/wallets/{wallet.name}/accounts/ranges/1")
    again = await service.post(f"/wallets/{wallet.name}/accounts/ranges/3")
    assert [one["index"] for one in again] == [0, 1, 2, 3]
    assert again[:2] == first
    assert await service.post(f"/wallets/{wallet.name}/accounts/ranges/0") == first[:1]
    assert len(await service.get(f"/wallets/{wallet.name}/accounts")) == 4


async def test_ranges_at_once_agree(service: AttoService, wallet: Wallet) -> None:
    path = f"/wallets/{wallet.name}/accounts/ranges"
    answers = await asyncio.gather(*(service.post(f"{path}/{index}") for index in (9, 5, 9, 7)))
    assert [[one["address"] for one in answer] for answer in answers] == [
        addresses_of(wallet, range(count)) for count in (10, 6, 10, 8)
    ]
    assert len(await service.get(f"/wallets/{wallet.name}/accounts")) == 10


async def test_accounts_of_a_wallet_that_does_not_exist(service: AttoService) -> None:
    client = service.client
    for response in (
        await client.post("/wallets/nowhere/accounts"),
        await client.post("/wallets/nowhere/accounts/ranges/1"),
    ):
        assert_refused(response, 404, "Wallet nowhere does not exist", "wallet_not_found")
    assert await service.get("/wallets/nowhere/accounts") == []


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ("-1", "toIndex must be greater than or equal to 0"),
        ("4294967296", "toIndex must be less than or equal to 4294967295"),
        ("9" * 5000, "toIndex must be an integer"),
        ("2147483648", "toIndex must be less than or equal to 2147483647"),
        ("two", "toIndex must be an integer"),
        ("--5", "toIndex must be an integer"),
        ("1.0", "toIndex must be an integer"),
        ("1e3", "toIndex must be an integer"),
        ("٣", "toIndex must be an integer"),
        ("-", "toIndex must be an integer"),
        ("+1", "toIndex must be an integer"),
    ],
)
async def test_impossible_index_is_refused(
    service: AttoService, wallet: Wallet, index: str, words: str
) -> None:
    response = await service.client.post(f"/wallets/{wallet.name}/accounts/ranges/{quote(index)}")
    assert (response.status_code, response.json()["message"], response.json()["code"]) == (
        400,
        words,
        "invalid_number",
    )


async def test_no_more_accounts_at_once_than_the_limit(service: AttoService, wallet: Wallet) -> None:
    response = await service.client.post(f"/wallets/{wallet.name}/accounts/ranges/2147483647")
    words = "That would touch 2147483648 account indexes; at most 10000 are allowed at once (ATTO_SCAN_LIMIT)"
    assert_refused(response, 400, words, "scan_limit")


async def test_row_counts_its_changes(service: AttoService, wallet: Wallet) -> None:
    address = await service.create_account(wallet)
    path = f"/wallets/accounts/{address}"
    row = await service.get(path)
    assert_empty(await service.client.post(f"{path}/states/DISABLED"), 200)
    disabled = await service.get(path)
    moment = datetime.fromisoformat(disabled.pop("disabledAt"))
    assert abs(moment.timestamp() - datetime.now(moment.tzinfo).timestamp()) < 60
    assert disabled == {name: value for name, value in row.items() if name != "disabledAt"} | {"version": 1}
    assert_empty(await service.client.post(f"{path}/states/ENABLED"), 200)
    assert await service.get(path) == row | {"version": 2}


async def test_unknown_address_is_an_empty_404_where_it_is_read(service: AttoService) -> None:
    assert_empty(await service.client.get(f"/wallets/accounts/{NOBODY}"), 404)
    assert_empty(await service.client.get(f"/wallets/accounts/{NOBODY}/details"), 404)


async def test_unopened_account_has_no_details(service: AttoService, wallet: Wallet) -> None:
    address = await service.create_account(wallet)
    assert_empty(await service.client.get(f"/wallets/accounts/{address}/details"), 404)


async def test_unknown_address_is_named_where_it_is_changed(service: AttoService) -> None:
    path = f"/wallets/accounts/{NOBODY}"
    client = service.client
    for response in (
        await client.post(f"{path}/states/DISABLED"),
        await client.post(f"{path}/states/ENABLED"),
        await client.put(f"{path}/label", json={"label": "x"}),
        await client.get(f"{path}/entries"),
        await client.get(f"{path}/receivables"),
    ):
        assert_refused(response, 404, UNKNOWN, "account_not_found")


async def test_malformed_address_is_the_callers_mistake(service: AttoService) -> None:
    client = service.client
    for text in (NO_ADDRESS, "x", NOBODY.upper(), NOBODY + "a"):
        path = f"/wallets/accounts/{text}"
        for response in (
            await client.get(path),
            await client.get(f"{path}/details"),
            await client.post(f"{path}/states/DISABLED"),
            await client.post(f"{path}/states/ENABLED"),
            await client.get(f"{path}/entries"),
            await service.send(text, NOBODY, 1),
            await service.change(text, NOBODY),
        ):
            document = response.json()
            assert (response.status_code, document["code"]) == (400, "invalid_address"), response.text
            assert document["message"].startswith("Invalid address: ")


async def test_details_show_the_chain(service: AttoService, network: AttoNetwork) -> None:
    address = await service.open_account(network, 100)
    state = network.state(address)
    assert state is not None
    assert await service.details(address) == {
        "address": address,
        "version": 0,
        "height": 1,
        "balance": 100,
        "lastTransactionHash": state.frontier.hex().upper(),
        "lastTransactionTimestamp": state.timestamp_ms,
        "representativeAddress": address,
    }


async def test_disabled_account_receives_when_it_is_enabled(
    service: AttoService, network: AttoNetwork
) -> None:
    address, other = await service.create_account(), await service.create_account()
    await service.post(f"/wallets/accounts/{address}/states/DISABLED")
    await network.fund(address, 7)
    await network.fund(other, 7)
    await service.until_balance(other, 7)
    receivables = f"/wallets/accounts/{address}/receivables"
    await until(lambda: service.get(receivables), lambda waiting: len(waiting) == 1)
    assert await service.details(address) is None
    await service.post(f"/wallets/accounts/{address}/states/ENABLED")
    await service.until_balance(address, 7)


async def test_disabled_account_can_send_and_change(service: AttoService, network: AttoNetwork) -> None:
    address = await service.open_account(network, 10)
    await service.post(f"/wallets/accounts/{address}/states/DISABLED")
    assert (await service.send(address, NOBODY, 1)).status_code == 200
    assert (await service.change(address, NOBODY)).status_code == 200


async def test_labels(service: AttoService, wallet: Wallet) -> None:
    first, second = await service.create_account(wallet), await service.create_account(wallet)
    path = f"/wallets/accounts/{second}/label"
    response = await service.client.put(path, json={"label": "Ann Müller 🦊"})
    labelled = {"address": second, "index": 1, "label": "Ann Müller 🦊"}
    assert (response.status_code, response.json()) == (200, labelled)
    assert await service.get(f"/wallets/{wallet.name}/labels") == [
        {"address": first, "index": 0, "label": None},
        labelled,
    ]
    assert (await service.client.put(path, json={"label": None})).json() == labelled | {"label": None}


@pytest.mark.parametrize("label", ["", "x" * 256, "a\nb", "\0"])
async def test_unprintable_label_is_refused(service: AttoService, wallet: Wallet, label: str) -> None:
    address = await service.create_account(wallet)
    response = await service.client.put(f"/wallets/accounts/{address}/label", json={"label": label})
    assert_refused(response, 400, "A label has 1 to 255 printable characters", "invalid_label")


async def test_wallet_with_the_mnemonic_of_another_gets_none_of_its_accounts(
    service: AttoService, wallet: Wallet
) -> None:
    """An account belongs to one wallet; the second must not take it over, nor fail without a word."""
    address = await service.create_account(wallet)
    await service.client.put("/wallets/twin-of-" + wallet.name, json={"mnemonic": wallet.mnemonic})
    path = f"/wallets/twin-of-{wallet.name}"
    words = f"Account atto://{address} belongs to the wallet {wallet.name}"
    assert_refused(await service.client.post(f"{path}/accounts"), 409, words, "account_taken")
    assert_refused(await service.client.post(f"{path}/accounts/ranges/3"), 409, words, "account_taken")
    response = await service.client.post(f"{path}/recoveries", json={"gapLimit": 1})
    assert_refused(response, 409, words, "account_taken")
    assert await service.get(f"{path}/accounts") == []
