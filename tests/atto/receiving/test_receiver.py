"""Automatic receive: in parallel, whatever one receivable does."""

from http import HTTPStatus
from typing import Any

import pytest
from msgspec.structs import replace

from atto.conftest import Start
from strongroom_sandbox.atto.faults.faults import FaultRequest
from support.atto_network import AttoNetwork
from support.atto_service import NOBODY, AttoService, entry, until
from support.waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be received is tried again soon."""
    monkeypatch.setattr("strongroom.atto.receiving.receiver.POLL_S", 0.1)


async def waiting(service: AttoService, address: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await service.get(f"/wallets/accounts/{address}/receivables")
    return found


async def test_accounts_receive_side_by_side(service: AttoService, network: AttoNetwork) -> None:
    wallet = await service.create_wallet()
    accounts = await service.post(f"/wallets/{wallet.name}/accounts/ranges/11")
    network.faults.confirmation_delay_ms = 3000
    for account in accounts:
        await network.fund(account["address"], 7)
    await eventually(lambda: network.sandbox.node.elections.undecided == len(accounts))
    for account in accounts:
        await service.until_balance(account["address"], 7)


async def test_account_receives_everything(service: AttoService, network: AttoNetwork) -> None:
    address = await service.create_account()
    for amount_raw in range(1, 11):
        await network.fund(address, amount_raw)
    assert (await service.until_balance(address, 55))["height"] == 10
    assert await waiting(service, address) == []
    received = service.metrics.registry.get_sample_value(
        "strongroom_atto_received_total", {"result": "received"}
    )
    assert received == 10


async def test_accounts_that_come_one_by_one_are_all_watched(
    service: AttoService, network: AttoNetwork
) -> None:
    """More than have a stream of their own."""
    wallet = await service.create_wallet()
    addresses = [await service.create_account(wallet) for _ in range(12)]
    for address in addresses:
        await network.fund(address, 7)
    for address in addresses:
        await service.until_balance(address, 7)


async def test_amount_that_was_sent_before_the_account_existed_arrives(
    service: AttoService, network: AttoNetwork
) -> None:
    wallet = await service.create_wallet()
    address = wallet.account().address.path
    await network.fund(address, 7)
    assert await service.create_account(wallet) == address
    await service.until_balance(address, 7)


async def test_a_bad_receivable_is_shown_and_delays_no_other(
    service: AttoService, network: AttoNetwork
) -> None:
    address, other = await service.open_account(network, 1), await service.create_account()
    refused = FaultRequest(status=HTTPStatus.INTERNAL_SERVER_ERROR, count=1_000_000, path="/transactions/")
    network.faults.set(refused)  # nothing is received before the bad one is known to be bad
    hashes = [await network.fund(address, 2), await network.fund(address, 4), await network.fund(other, 8)]
    bad = hashes[0].hex().upper()
    network.faults.set(replace(refused, path=f"/transactions/{bad}"))
    await service.until_balance(address, 5)
    await service.until_balance(other, 8)
    (shown,) = await until(
        lambda: waiting(service, address), lambda found: bool(found) and found[0]["problem"] is not None
    )
    assert (shown["hash"], shown["amount"]) == (bad, 2)
    assert shown["problem"] == "The node answered with status 500"
    network.heal()
    await service.until_balance(address, 7)
    assert await waiting(service, address) == []


async def test_receive_continues_after_the_node_cuts_its_streams(
    service: AttoService, network: AttoNetwork
) -> None:
    address = await service.open_account(network, 1)
    for amount_raw in (2, 4):
        network.cut_streams()
        await network.fund(address, amount_raw)
    await service.until_balance(address, 7)


async def test_amount_below_the_minimum_is_left_alone(start: Start, network: AttoNetwork) -> None:
    async with start(ATTO_RECEIVE_MINIMUM_RAW="10") as service:
        address = await service.create_account()
        dust = await network.fund(address, 9)
        await network.fund(address, 10)
        await network.fund(address, 11)
        assert (await service.until_balance(address, 21))["height"] == 2
        assert network.receivables(address) == {dust: 9}
    async with start() as service:
        await service.until_balance(address, 30)


async def test_opened_account_names_the_default_representative(start: Start, network: AttoNetwork) -> None:
    async with start(ATTO_DEFAULT_REPRESENTATIVE=f"atto://{NOBODY}") as service:
        address = await service.open_account(network, 7)
        details = await service.details(address)
        assert details is not None
        assert details["representativeAddress"] == NOBODY
        await network.fund(address, 1)
        assert (await service.until_balance(address, 8))["representativeAddress"] == NOBODY


async def test_only_enabled_accounts_of_unlocked_wallets_receive(
    service: AttoService, network: AttoNetwork
) -> None:
    wallet = await service.create_wallet()
    address = await service.open_account(network, 1, wallet)
    await service.lock(wallet)
    await network.fund(address, 2)
    await until(lambda: waiting(service, address), lambda found: len(found) == 1)
    await service.post(f"/wallets/accounts/{address}/states/DISABLED")
    await service.unlock(wallet)
    assert entry(await service.send(address, NOBODY, 1))["balance"] == 0
    assert len(await waiting(service, address)) == 1
    await service.post(f"/wallets/accounts/{address}/states/ENABLED")
    await service.until_balance(address, 2)


async def test_replica_receives_when_the_other_is_gone(start: Start, network: AttoNetwork) -> None:
    async with start() as survivor:
        async with start() as other:
            address = await survivor.open_account(network, 1)
            await other.until_balance(address, 1)
        for amount_raw in (2, 4):
            await network.fund(address, amount_raw)
        await survivor.until_balance(address, 7)
