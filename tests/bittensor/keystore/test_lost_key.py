"""After the key-encryption key was lost, a Bittensor service signs again with keys that were imported anew."""

from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from bittensor.conftest import Start
from support.bittensor_service import database_variables, import_validator
from support.keys import KEY, OTHER_KEY
from support.lost_key import Operator

pytestmark = pytest.mark.anyio

MESSAGE = "1763729464123"
VARIABLE = "BITTENSOR_KEY_ENCRYPTION_KEY"
RESTARTED = "bittensor: trail_restarted: operator began the trail anew at "


@pytest.fixture
def operator(database_url: URL, tmp_path: Path) -> Operator:
    here = {"network": "local", "chain_endpoint": "ws://127.0.0.1:9", VARIABLE: OTHER_KEY}
    return Operator(variables=database_variables(database_url, tmp_path) | here)


async def test_it_signs_again_and_the_trail_tells_of_it(start: Start, operator: Operator) -> None:
    async with start(**{VARIABLE: KEY}) as service:
        await import_validator(service)
        assert (await service.sign(MESSAGE)).status_code == 200
        await service.ledger.checkpoints.make()
    await operator.begin_anew("bittensor", "abandon")
    async with start(**{VARIABLE: OTHER_KEY}) as service:
        await import_validator(service)
        assert (await service.sign(MESSAGE)).status_code == 200
        await service.ledger.checkpoints.make()
    told = await operator.verify("bittensor")
    assert (told.status, RESTARTED in told.out) == (0, True), told
    assert "whose key is lost with it" in told.out


async def test_a_service_without_keys_accepts_another_key(start: Start, operator: Operator) -> None:
    async with start(**{VARIABLE: KEY}):
        pass
    done = await operator.run("keys", "accept", "bittensor", "--all")
    assert done.status == 0, done
    await operator.run("rows", "accept", "bittensor", "--all")
    async with start(**{VARIABLE: OTHER_KEY}) as service:
        await import_validator(service)
        assert (await service.sign(MESSAGE)).status_code == 200
    assert (await operator.verify("bittensor")).status == 0
