"""The same seed in another wallet: what it does is noticed, taken over and built upon."""

from typing import Any

import pytest

from atto.conftest import Start
from strongroom.atto.protocol import AccountState, Address
from support.atto_account import AttoAccount
from support.atto_network import AttoNetwork
from support.atto_service import ATTO, NOBODY, AttoService, Wallet, entry, until

pytestmark = pytest.mark.anyio
ELSEWHERE = Address.parse(NOBODY)


@pytest.fixture
async def wallet(service: AttoService) -> Wallet:
    return await service.create_wallet()


def truth(network: AttoNetwork, account: AttoAccount) -> AccountState:
    state = network.sandbox.chain.account(account.public_key)
    assert state is not None
    return state


async def blocks_of(service: AttoService, address: str) -> list[tuple[int, str, int]]:
    found: list[dict[str, Any]] = (await service.get(f"/wallets/accounts/{address}/entries"))["entries"]
    return [(one["height"], one["blockType"], one["balance"]) for one in found]


async def test_send_from_elsewhere_is_taken_over_and_built_upon(
    service: AttoService, network: AttoNetwork, wallet: Wallet
) -> None:
    address = await service.open_account(network, 100, wallet)
    account = wallet.account()
    await network.publish(account.send(truth(network, account), ELSEWHERE, 30))
    details = await service.until_balance(address, 70)
    assert (details["height"], bytes.fromhex(details["lastTransactionHash"])) == (
        2,
        truth(network, account).frontier,
    )
    sent = entry(await service.send(address, NOBODY, 20, lastHeight=2))
    assert (sent["height"], sent["previousBalance"], sent["balance"]) == (3, 70, 50)
    blocks = await until(lambda: blocks_of(service, address), lambda found: len(found) == 3)
    assert blocks == [(3, "SEND", 50), (2, "SEND", 70), (1, "OPEN", 100)]


async def test_representative_from_elsewhere_is_taken_over(
    service: AttoService, network: AttoNetwork, wallet: Wallet
) -> None:
    address = await service.open_account(network, 100, wallet)
    account = wallet.account()
    await network.publish(account.change(truth(network, account), ELSEWHERE.public_key))

    def changed(details: dict[str, Any] | None) -> bool:
        return details is not None and details["representativeAddress"] == NOBODY

    await until(lambda: service.details(address), changed)
    assert entry(await service.change(address, address))["height"] == 3


async def test_account_opened_elsewhere_is_known_when_it_is_created(
    service: AttoService, network: AttoNetwork, wallet: Wallet
) -> None:
    account = wallet.account()
    await network.fund(account.address.path, 100)
    (receivable,) = network.sandbox.chain.receivables([account.public_key], 1)
    await network.publish(account.open(receivable))
    address = await service.create_account(wallet)
    details = await service.details(address)
    assert details is not None
    assert (address, details["balance"], details["height"]) == (account.address.path, 100, 1)
    assert entry(await service.send(address, NOBODY, 1))["height"] == 2


async def test_what_was_received_elsewhere_is_no_longer_waiting(
    service: AttoService, network: AttoNetwork, wallet: Wallet
) -> None:
    """Both wallets receive by themselves; here ours is disabled until the other was quicker."""
    address = await service.open_account(network, 100, wallet)
    account = wallet.account()
    await service.post(f"/wallets/accounts/{address}/states/DISABLED")
    await network.fund(address, 7)
    receivables = f"/wallets/accounts/{address}/receivables"
    await until(lambda: service.get(receivables), lambda waiting: len(waiting) == 1)
    (receivable,) = network.sandbox.chain.receivables([account.public_key], 1)
    await network.publish(account.receive(truth(network, account), receivable))
    await service.until_balance(address, 107)
    await service.post(f"/wallets/accounts/{address}/states/ENABLED")
    await until(lambda: service.get(receivables), lambda waiting: waiting == [])
    assert entry(await service.send(address, NOBODY, 107))["height"] == 3


async def test_changes_while_the_network_was_cut_are_found(
    service: AttoService, network: AttoNetwork, wallet: Wallet
) -> None:
    address = await service.open_account(network, 100, wallet)
    account = wallet.account()
    network.faults.stall_ms = 300
    network.cut_streams()
    for _ in range(3):
        await network.publish(account.send(truth(network, account), ELSEWHERE, 10))
    network.heal()
    assert (await service.until_balance(address, 70))["height"] == 4


async def test_changes_while_the_service_was_down_are_found(start: Start, network: AttoNetwork) -> None:
    async with start() as service:
        wallet = await service.create_wallet()
        address = await service.open_account(network, 100, wallet)
    account = wallet.account()
    await network.publish(account.send(truth(network, account), ELSEWHERE, 10))
    await network.fund(address, 5)
    async with start() as service:
        await service.until_balance(address, 95)
        blocks = await until(lambda: blocks_of(service, address), lambda found: len(found) == 3)
        assert blocks == [(3, "RECEIVE", 95), (2, "SEND", 90), (1, "OPEN", 100)]


async def test_both_wallets_go_on_together(
    service: AttoService, network: AttoNetwork, wallet: Wallet
) -> None:
    address = await service.open_account(network, 50 * ATTO, wallet)
    account = wallet.account()
    for number in range(4):
        await network.publish(account.send(truth(network, account), ELSEWHERE, ATTO))
        await service.until_balance(address, (49 - 2 * number) * ATTO)
        entry(await service.send(address, NOBODY, ATTO))
    assert (await service.until_balance(address, 42 * ATTO))["height"] == 9
