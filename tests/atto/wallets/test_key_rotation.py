"""The key-encryption key is changed while clients pay, and no payment fails for it."""

import asyncio

import pytest

from atto.conftest import Start
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.custody.custody import Custody
from support.atto_network import AttoNetwork
from support.atto_service import ATTO, NOBODY, AttoService, entry
from support.keys import KEY, OTHER_KEY

pytestmark = pytest.mark.anyio

VARIABLE = "CHA_CHA20_KEY_ENCRYPTION_KEY"
PAYERS = 4
LATER = 3
"""Payments of each payer after the change, under the new key alone."""


def custody_of(service: AttoService) -> Custody:
    custody = service.ledger.custody
    assert custody is not None
    return custody


async def test_payments_go_on_at_two_processes(start: Start, network: AttoNetwork) -> None:
    both = {VARIABLE: KEY, f"{VARIABLE}_NEXT": OTHER_KEY}
    async with start(**both) as service, start(**both) as other:
        wallets = [await service.create_wallet() for _ in range(PAYERS)]
        addresses = [await service.open_account(network, ATTO, wallet) for wallet in wallets]
        ended = asyncio.Event()
        paid = [0] * PAYERS

        async def pay(number: int) -> None:
            left = LATER
            while left:
                if ended.is_set():
                    left -= 1
                payer = (service, other)[paid[number] % 2]
                entry(await payer.send(addresses[number], NOBODY, 1))
                paid[number] += 1

        async def change() -> None:
            done = await custody_of(service).rotation().run(OPERATOR)
            assert (done.version, done.left) == (2, [])
            ended.set()

        async with asyncio.TaskGroup() as tasks:
            for number in range(PAYERS):
                tasks.create_task(pay(number))
            tasks.create_task(change())
        assert min(paid) > LATER
        assert await custody_of(service).rotation().needs() == {2: PAYERS}
        for wallet in wallets:
            await other.lock(wallet)
            await service.unlock(wallet)
        await service.verify_audit()
    async with start(**{VARIABLE: OTHER_KEY}) as service:
        for address, count in zip(addresses, paid, strict=True):
            assert entry(await service.send(address, NOBODY, 1))["balance"] == ATTO - count - 1
