"""A house of each ledger on each database, one for a whole drill."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from support.mariadb import mysql_program
from support.replicas.databases import Databases, running_databases
from support.replicas.houses import House, bittensor_house, hathor_house

Opening = Callable[[Databases, Path], AbstractAsyncContextManager[House]]
HOUSES: dict[str, Opening] = {"hathor": hathor_house, "bittensor": bittensor_house}


@pytest.fixture(params=HOUSES)
def opening(request: pytest.FixtureRequest) -> Opening:
    return HOUSES[request.param]


@pytest.fixture
async def house(engine: str, opening: Opening, tmp_path: Path) -> AsyncIterator[House]:
    if engine.endswith("primary") and mysql_program() is None:
        pytest.skip("MySQL is not here: scripts/test-mysql has it")
    with running_databases(engine) as databases:
        async with opening(databases, tmp_path) as house:
            yield house
