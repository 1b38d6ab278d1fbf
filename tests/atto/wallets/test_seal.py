"""A sealed Atto service signs nothing and answers reads; what waited is done after it is unsealed."""

import pytest

from atto.conftest import Start
from strongroom.core.runtime.telemetry import Status
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.custody.custody import Custody
from strongroom.core.security.keys.local import key_from_hex
from support.atto_network import AttoNetwork
from support.atto_service import ATTO, NOBODY, AttoService, assert_refused, entry
from support.keys import KEY
from support.waiting import eventually

pytestmark = pytest.mark.anyio

VARIABLE = "CHA_CHA20_KEY_ENCRYPTION_KEY"
SEALED = "The service is sealed: its keys are not in memory. An operator unseals it first (strongroom unseal)"


def custody_of(service: AttoService) -> Custody:
    custody = service.ledger.custody
    assert custody is not None
    return custody


async def test_nothing_is_signed_and_nothing_is_lost(start: Start, network: AttoNetwork) -> None:
    async with start(**{VARIABLE: KEY}) as service, start(**{VARIABLE: KEY}) as other:
        wallet = await service.create_wallet()
        address = await service.open_account(network, 10 * ATTO, wallet)
        entry(await service.send(address, NOBODY, 1))
        entry(await other.send(address, NOBODY, 1))
        await custody_of(service).seal(OPERATOR)
        await eventually(lambda: not custody_of(other).ring.is_open)
        for one in (service, other):
            assert one.ledger.use_cases._keyring._opened == {}
            assert_refused(await one.send(address, NOBODY, 1), 503, SEALED, "sealed")
            assert_refused(await one.client.post("/wallets/another"), 503, SEALED, "sealed")
            body = {"encryptionKey": wallet.encryption_key}
            unlocking = await one.client.put(f"/wallets/{wallet.name}/locks/UNLOCKED", json=body)
            assert unlocking.status_code == 503
            assert (await one.details(address)) is not None
            assert [each["name"] for each in await one.get("/wallets")] == [wallet.name]
            assert one.health.overall() is Status.SEALED
        await network.fund(address, 5)
        await custody_of(other).unseal(OPERATOR, key_from_hex(KEY))
        await eventually(lambda: custody_of(service).is_open and custody_of(other).is_open)
        balance = 10 * ATTO - 2 + 5
        await service.until_balance(address, balance)
        assert entry(await service.send(address, NOBODY, 1))["balance"] == balance - 1
        await service.verify_audit()


async def test_it_starts_sealed(start: Start, network: AttoNetwork) -> None:
    async with start(**{VARIABLE: KEY}) as service:
        address = await service.open_account(network, ATTO)
        await custody_of(service).seal(OPERATOR)
    async with start(**{VARIABLE: KEY}) as service:
        assert service.health.overall() is Status.SEALED
        assert_refused(await service.send(address, NOBODY, 1), 503, SEALED, "sealed")
        assert (await service.details(address)) is not None
        await custody_of(service).unseal(OPERATOR, key_from_hex(KEY))
        await eventually(lambda: custody_of(service).is_open)
        entry(await service.send(address, NOBODY, 1))
