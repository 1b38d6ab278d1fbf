"""More accounts than a node takes in one request."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from strongroom_sandbox.atto.streaming.streams import Stream
from support.atto_network import AttoNetwork
from support.atto_service import NOBODY, AttoService, entry, running_service
from support.waiting import eventually

pytestmark = pytest.mark.anyio

ACCOUNTS = 5000


@pytest.fixture
async def service(network: AttoNetwork, tmp_path: Path) -> AsyncIterator[AttoService]:
    async with running_service(network, {"STRONGROOM_DATA": str(tmp_path)}) as service:
        yield service


def streams(network: AttoNetwork) -> set[Stream]:
    """What the node has open now."""
    return set(network.sandbox.node.hub.streams._closers)


async def test_deposits_to_the_first_and_the_last_of_5000_accounts_arrive(
    service: AttoService, network: AttoNetwork, tmp_path: Path
) -> None:
    wallet = await service.create_wallet()
    service.client.timeout = 120
    made = await service.post(f"/wallets/{wallet.name}/accounts/ranges/{ACCOUNTS - 1}")
    addresses = [account["address"] for account in made]
    ends = [addresses[0], addresses[999], addresses[1000], addresses[-1]]
    for address in ends:
        await network.fund(address, 7)
    for address in ends:
        await service.until_balance(address, 7)
    assert entry(await service.send(addresses[-1], NOBODY, 7))["height"] == 2
    await service.ledger.close()
    async with running_service(network, {"STRONGROOM_DATA": str(tmp_path)}) as again:
        await eventually(lambda: len(streams(network)) == 2 * ACCOUNTS // 1000)
        before = streams(network)
        for address in (*ends, addresses[-2]):
            await network.fund(address, 3)
        await again.until_balance(addresses[0], 10)
        await again.until_balance(addresses[-1], 3)
        await again.until_balance(addresses[-2], 3)
        # More come one by one; the full streams are not opened anew for them.
        for number in range(12):
            address = await again.create_account(wallet)
            await network.fund(address, number + 1)
            await again.until_balance(address, number + 1)
        assert before < streams(network)
        assert len(streams(network)) <= len(before) + 2 * 9
        assert (await again.get(f"/wallets/{wallet.name}/totals"))["openedAccounts"] == 5 + 12
