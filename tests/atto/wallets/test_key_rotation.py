"""The key-encryption key is changed while clients pay, and no payment fails for it."""

import asyncio

import pytest
from sqlalchemy import Connection, text

from atto.conftest import Start
from strongroom.core.errors import VaultError
from strongroom.core.runtime.telemetry import Status
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.custody.custody import Custody
from support.atto_network import AttoNetwork
from support.atto_service import ATTO, NOBODY, AttoService, entry
from support.keys import KEY, OTHER_KEY
from support.waiting import until_true

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


async def test_health_says_that_a_change_was_turned_back(start: Start, network: AttoNetwork) -> None:
    """Whoever has the old key and writes the database gains nothing: the new key seals what comes, and no start goes back."""
    both = {VARIABLE: KEY, f"{VARIABLE}_NEXT": OTHER_KEY}
    turned = (
        "UPDATE strongroom_key SET state = 'replaced' WHERE version = 2",
        "UPDATE strongroom_key SET state = 'active' WHERE version = 1",
        "UPDATE strongroom_binding_state SET key_check = (SELECT key_check FROM strongroom_key WHERE version = 1)",
    )
    async with start(**both) as service:
        address = await service.open_account(network)
        await custody_of(service).rotation().run(OPERATOR)
        database = service.ledger.database

        def turn_back(connection: Connection) -> None:
            for one in turned:
                connection.execute(text(one))

        await database.write(turn_back)

        async def is_told() -> bool:
            keys = service.health.components()["attoKeys"]
            return keys.status is not Status.UP and "version 1 is active there" in (keys.detail or "")

        await until_true(is_told)
        await service.create_wallet()
        assert custody_of(service).ring.version == 2
        assert await custody_of(service).rotation().needs() == {2: 2}
        assert entry(await service.send(address, NOBODY, 1))["balance"] == 50 * ATTO - 1
    with pytest.raises(VaultError, match="version 1 is active there") as raised:
        async with start(**both):
            pass
    assert raised.value.instance_code == "key_turned_back"
