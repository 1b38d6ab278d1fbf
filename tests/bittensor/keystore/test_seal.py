"""A sealed Bittensor service signs with no key, wherever it lies; after a change of the key it signs as before."""

import pytest

from bittensor.conftest import Start
from strongroom.core.runtime.telemetry import Status
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.custody.custody import Custody
from strongroom.core.security.keys.local import key_from_hex
from support.bittensor_service import BittensorService, import_validator
from support.keys import KEY, OTHER_KEY
from support.waiting import eventually

pytestmark = pytest.mark.anyio

MESSAGE = "1763729464123"
VARIABLE = "BITTENSOR_KEY_ENCRYPTION_KEY"


def custody_of(service: BittensorService) -> Custody:
    custody = service.ledger.custody
    assert custody is not None
    return custody


async def test_a_sealed_service_signs_with_no_key(start: Start) -> None:
    async with start(**{VARIABLE: KEY}) as service:
        await import_validator(service)
        assert (await service.sign(MESSAGE)).status_code == 200
        await custody_of(service).seal(OPERATOR)
        refused = await service.sign(MESSAGE)
        assert (refused.status_code, refused.json()["code"]) == (503, "sealed")
        assert service.ledger.keyring._opened == {}
        assert service.health.overall() is Status.SEALED
        await custody_of(service).unseal(OPERATOR, key_from_hex(KEY))
        await eventually(lambda: custody_of(service).is_open)
        assert (await service.sign(MESSAGE)).status_code == 200


async def test_it_signs_while_the_key_is_changed_and_afterwards(start: Start) -> None:
    async with start(**{VARIABLE: KEY, f"{VARIABLE}_NEXT": OTHER_KEY}) as service:
        await import_validator(service)
        rotation = custody_of(service).rotation()
        await rotation.begin(OPERATOR)
        assert (await service.sign(MESSAGE)).status_code == 200
        done = await rotation.finish(OPERATOR)
        assert (done.version, done.left) == (2, [])
        assert (await service.sign(MESSAGE)).status_code == 200
    async with start(**{VARIABLE: OTHER_KEY}) as service:
        assert (await service.sign(MESSAGE)).status_code == 200
