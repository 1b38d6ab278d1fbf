"""The same mnemonic in the official wallet: what it does to our accounts is noticed, and built upon."""

import asyncio
from typing import Any

import pytest

from judges.atto.conftest import StartJsWallet
from strongroom.atto.protocol import Address
from strongroom_sandbox.atto import GENESIS_ADDRESS
from support.atto_network import AttoNetwork
from support.atto_service import NOBODY, AttoService, Wallet, entry, until
from support.js import JsError
from support.js_agreement import assert_agree, search
from support.waiting import eventually

pytestmark = pytest.mark.anyio
ELSEWHERE = Address.parse(NOBODY)


@pytest.fixture
def service(shared_service: AttoService) -> AttoService:
    return shared_service


@pytest.fixture
async def wallet(service: AttoService) -> Wallet:
    return await service.create_wallet()


async def blocks(service: AttoService, address: str) -> list[tuple[int, str, int]]:
    return [(one["height"], one["blockType"], one["balance"]) for one in await search(service, address)]


async def voting(network: AttoNetwork) -> None:
    """Until the network has a block that it has not confirmed yet."""
    await eventually(lambda: bool(network.sandbox.node.elections._slots))


def changes_elsewhere(service: AttoService) -> float:
    """How often the service saw an account move without it."""
    seen = service.metrics.registry.get_sample_value("strongroom_atto_external_changes_total")
    assert seen is not None
    return seen


async def test_send_from_there_is_noticed_and_the_next_send_builds_on_it(
    service: AttoService, network: AttoNetwork, wallet: Wallet, js_wallet: StartJsWallet
) -> None:
    address = await service.open_account(network, 100, wallet)
    async with js_wallet(wallet.mnemonic, receives=False) as js:
        await js.open(0)
        external = await js.send(0, ELSEWHERE, 30)
        details = await service.until_balance(address, 70)
        assert details["lastTransactionHash"] == external.hash.hex().upper()
        assert entry(await service.send(address, NOBODY, 20, lastHeight=2))["balance"] == 50
        await assert_agree(service, js, address)
    assert await blocks(service, address) == [(1, "OPEN", 100), (2, "SEND", 70), (3, "SEND", 50)]


async def test_change_from_there_is_noticed_and_the_next_change_builds_on_it(
    service: AttoService, network: AttoNetwork, wallet: Wallet, js_wallet: StartJsWallet
) -> None:
    address = await service.open_account(network, 100, wallet)
    async with js_wallet(wallet.mnemonic, receives=False) as js:
        await js.open(0)
        await js.change(0, GENESIS_ADDRESS)

        def changed(details: dict[str, Any] | None) -> bool:
            return details is not None and details["representativeAddress"] == GENESIS_ADDRESS.path

        await until(lambda: service.details(address), changed)
        entry(await service.change(address, NOBODY))
        await assert_agree(service, js, address)
    assert [kind for _, kind, _ in await blocks(service, address)] == ["OPEN", "CHANGE", "CHANGE"]


async def test_account_that_is_opened_there_is_used_here(
    service: AttoService, network: AttoNetwork, wallet: Wallet, js_wallet: StartJsWallet
) -> None:
    """Ours is disabled, so only the official wallet receives."""
    address = await service.create_account(wallet)
    await service.post(f"/wallets/accounts/{address}/states/DISABLED")
    async with js_wallet(wallet.mnemonic) as js:
        await js.open(0)
        await network.fund(address, 100)
        await js.entries(Address.parse(address), 1, 1)
        await js.send(0, ELSEWHERE, 1)
        await service.until_balance(address, 99)
        await service.post(f"/wallets/accounts/{address}/states/ENABLED")
        assert entry(await service.send(address, NOBODY, 9))["height"] == 3
        await assert_agree(service, js, address)


async def test_two_wallets_that_receive_the_same_do_not_disturb_each_other(
    service: AttoService, network: AttoNetwork, wallet: Wallet, js_wallet: StartJsWallet
) -> None:
    address = await service.create_account(wallet)
    async with js_wallet(wallet.mnemonic) as js:
        await js.open(0)
        await asyncio.gather(*(network.fund(address, amount_raw) for amount_raw in range(1, 9)))
        details = await service.until_balance(address, 36)
        assert details["height"] == 8
        assert entry(await service.send(address, NOBODY, 6))["height"] == 9
        await assert_agree(service, js, address)
        receivables = f"/wallets/accounts/{address}/receivables"
        # It hears of what the other one received in its own time.
        await until(lambda: service.get(receivables), lambda found: found == [])


async def test_send_that_comes_after_theirs_is_built_again(
    service: AttoService, network: AttoNetwork, wallet: Wallet, js_wallet: StartJsWallet
) -> None:
    """Both wallets sign a block of the same height; the network takes the first."""
    address = await service.open_account(network, 100, wallet)
    before = changes_elsewhere(service)
    network.faults.confirmation_delay_ms = 300
    async with js_wallet(wallet.mnemonic, receives=False) as js:
        await js.open(0)
        theirs = asyncio.create_task(js.send(0, ELSEWHERE, 30))
        await voting(network)
        sent = entry(await service.send(address, NOBODY, 20))
        await theirs
        assert changes_elsewhere(service) == before + 1
        assert (sent["height"], sent["balance"]) == (3, 50)
        await assert_agree(service, js, address)


async def test_send_that_comes_before_theirs_succeeds(
    service: AttoService, network: AttoNetwork, wallet: Wallet, js_wallet: StartJsWallet
) -> None:
    address = await service.open_account(network, 100, wallet)
    network.faults.confirmation_delay_ms = 300
    async with js_wallet(wallet.mnemonic, receives=False) as js:
        await js.open(0)
        ours = asyncio.create_task(service.send(address, NOBODY, 20))
        await voting(network)
        with pytest.raises(JsError, match="Transaction rejected"):
            await js.send(0, ELSEWHERE, 30)
        assert entry(await ours)["balance"] == 80
        await assert_agree(service, js, address)
