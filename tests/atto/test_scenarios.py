"""The acceptance scenarios of the original wallet server, with our own steps."""

import asyncio
import secrets
from typing import Any

import pytest

from strongroom.atto.protocol import AccountKeys, Address, Mnemonic
from support.atto_network import AttoNetwork
from support.atto_service import ATTO, NOBODY, AttoService, Wallet, assert_refused, entry

pytestmark = pytest.mark.anyio


@pytest.fixture
def service(shared_service: AttoService) -> AttoService:
    return shared_service


@pytest.fixture
async def treasury(service: AttoService, request: pytest.FixtureRequest) -> Wallet:
    """The imported wallet that every scenario begins with."""
    phrase = Mnemonic.from_entropy32(secrets.token_bytes(32)).phrase
    wallet = Wallet(name=f"{request.node.originalname}", mnemonic=phrase, encryption_key="0F" * 32)
    body = {"mnemonic": wallet.mnemonic, "encryptionKey": wallet.encryption_key}
    response = await service.client.put(f"/wallets/{wallet.name}", json=body)
    assert (response.status_code, response.json()) == (200, body)
    return wallet


@pytest.fixture
async def funded(service: AttoService, network: AttoNetwork, treasury: Wallet) -> str:
    """An account of the wallet with 50 ATTO."""
    return await service.open_account(network, 50 * ATTO, treasury)


def address_of(wallet: Wallet, index: int) -> str:
    keys = AccountKeys(Mnemonic.parse(wallet.mnemonic).seed())
    return Address(public_key=keys.public_key(index)).path


async def rows_of(service: AttoService, wallet: Wallet) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = await service.get(f"/wallets/{wallet.name}/accounts")
    return rows


async def recover(service: AttoService, wallet: Wallet, gap_limit: int) -> dict[str, Any]:
    """The answer without its list of accounts."""
    found: dict[str, Any] = await service.post(f"/wallets/{wallet.name}/recoveries", {"gapLimit": gap_limit})
    return {name: value for name, value in found.items() if name != "accounts"}


async def test_wallet_is_locked(service: AttoService, treasury: Wallet) -> None:
    await service.lock(treasury)
    state = await service.get(f"/wallets/{treasury.name}")
    assert state == {"name": treasury.name, "lockState": "LOCKED"}


async def test_locked_wallet_is_unlocked(service: AttoService, treasury: Wallet) -> None:
    await service.lock(treasury)
    await service.unlock(treasury)
    state = await service.get(f"/wallets/{treasury.name}")
    assert state == {"name": treasury.name, "lockState": "UNLOCKED"}


async def test_account_is_created(service: AttoService, treasury: Wallet) -> None:
    address = address_of(treasury, 0)
    created = await service.post(f"/wallets/{treasury.name}/accounts")
    assert created == {"address": address, "displayAddress": f"atto://{address}", "index": 0}
    row = {
        "address": address,
        "version": 0,
        "accountIndex": 0,
        "walletName": treasury.name,
        "disabledAt": None,
    }
    assert await rows_of(service, treasury) == [row]
    assert await service.get(f"/wallets/accounts/{address}") == row


async def test_accounts_are_created_through_an_index(service: AttoService, treasury: Wallet) -> None:
    created = await service.post(f"/wallets/{treasury.name}/accounts/ranges/2")
    addresses = [address_of(treasury, index) for index in range(3)]
    assert created == [
        {"address": address, "displayAddress": f"atto://{address}", "index": index}
        for index, address in enumerate(addresses)
    ]
    assert [row["address"] for row in await rows_of(service, treasury)] == addresses


async def test_account_is_disabled_and_enabled(service: AttoService, treasury: Wallet) -> None:
    address = await service.create_account(treasury)
    await service.post(f"/wallets/accounts/{address}/states/DISABLED")
    assert (await service.get(f"/wallets/accounts/{address}"))["disabledAt"] is not None
    await service.post(f"/wallets/accounts/{address}/states/ENABLED")
    assert (await service.get(f"/wallets/accounts/{address}"))["disabledAt"] is None


async def test_received_attos_open_the_account(
    service: AttoService, network: AttoNetwork, treasury: Wallet
) -> None:
    address = await service.create_account(treasury)
    await network.fund(address, 50 * ATTO)
    assert (await service.until_balance(address, 50 * ATTO))["height"] == 1


async def test_unused_wallet_is_recovered_to_its_gap(
    service: AttoService, network: AttoNetwork, treasury: Wallet
) -> None:
    assert await recover(service, treasury, 3) == {
        "fromIndex": 0,
        "toIndex": 2,
        "scannedCount": 3,
        "gapCount": 3,
        "recoveredCount": 3,
        "existingCount": 0,
    }
    rows = await rows_of(service, treasury)
    assert len(rows) == 3
    await network.fund(rows[1]["address"], 50 * ATTO)
    await service.until_balance(rows[1]["address"], 50 * ATTO)


async def test_recovery_starts_at_the_last_known_account(service: AttoService, treasury: Wallet) -> None:
    await service.post(f"/wallets/{treasury.name}/accounts/ranges/2")
    assert await recover(service, treasury, 3) == {
        "fromIndex": 2,
        "toIndex": 4,
        "scannedCount": 3,
        "gapCount": 3,
        "recoveredCount": 2,
        "existingCount": 1,
    }
    assert len(await rows_of(service, treasury)) == 5


@pytest.mark.usefixtures("funded")
async def test_recovery_ends_at_the_last_open_account(service: AttoService, treasury: Wallet) -> None:
    assert await recover(service, treasury, 3) == {
        "fromIndex": 0,
        "toIndex": 0,
        "scannedCount": 4,
        "gapCount": 3,
        "recoveredCount": 0,
        "existingCount": 1,
    }
    assert len(await rows_of(service, treasury)) == 1


async def test_account_sends(service: AttoService, funded: str) -> None:
    entry(await service.send(funded, NOBODY, 10 * ATTO))
    await service.until_balance(funded, 40 * ATTO)


async def test_of_two_sends_with_the_same_last_height_one_conflicts(
    service: AttoService, funded: str
) -> None:
    sends = (service.send(funded, NOBODY, 10 * ATTO, lastHeight=1) for _ in range(2))
    accepted, refused = sorted(await asyncio.gather(*sends), key=lambda response: response.status_code)
    assert entry(accepted)["height"] == 2
    assert_refused(
        refused,
        409,
        f"Given height for atto://{funded} does not match last known height 2. "
        "List all the newest transactions and try again!",
        "height_mismatch",
    )
    await service.until_balance(funded, 40 * ATTO)


async def test_unopened_account_of_a_locked_wallet_is_reported_as_unopened(
    service: AttoService, treasury: Wallet
) -> None:
    address = await service.create_account(treasury)
    await service.lock(treasury)
    assert_refused(
        await service.send(address, NOBODY, ATTO),
        404,
        f"Account atto://{address} is not open yet. Please receive some attos before try again",
        "account_not_open",
    )


async def test_open_account_of_a_locked_wallet_is_reported_as_locked(
    service: AttoService, treasury: Wallet, funded: str
) -> None:
    await service.lock(treasury)
    assert_refused(
        await service.send(funded, NOBODY, ATTO), 400, f"Wallet {treasury.name} is locked", "wallet_locked"
    )


async def test_account_changes_its_representative(service: AttoService, funded: str) -> None:
    entry(await service.change(funded, NOBODY))
    details = await service.details(funded)
    assert details is not None
    assert details["representativeAddress"] == NOBODY


async def test_entries_are_the_same_with_and_without_a_search(service: AttoService, funded: str) -> None:
    entry(await service.send(funded, NOBODY, ATTO))
    search = {"search": [{"address": funded, "fromHeight": 1}]}
    searched = await service.post("/wallets/accounts/entries", search)
    everything = await service.post("/wallets/accounts/entries")
    assert [one["blockType"] for one in searched] == ["OPEN", "SEND"]
    assert [one for one in everything if one["address"] == funded] == searched
