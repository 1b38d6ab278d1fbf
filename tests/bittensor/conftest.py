"""The Bittensor service of the tests: a database a test."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from strongroom.core.clock import Clock
from support.bittensor_service import (
    BittensorService,
    database_variables,
    import_validator,
    running_bittensor,
)
from support.serving import Servers

Start = Callable[..., AbstractAsyncContextManager[BittensorService]]


@pytest.fixture(scope="module")
async def servers() -> AsyncIterator[Servers]:
    async with Servers() as servers:
        yield servers


@pytest.fixture(params=["sqlite", "mariadb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """An empty database on each engine, where the service looks for it."""
    if request.param == "sqlite":
        return URL.create("sqlite", database=str(tmp_path / "bittensor.sqlite3"))
    found: URL = request.getfixturevalue("mariadb").new_database()
    return found


@pytest.fixture
def start(servers: Servers, database_url: URL, tmp_path: Path) -> Start:
    """Starts the service on the test's database, as often as it is called; arguments are more variables."""

    def service(
        clock: Clock | None = None, **variables: str
    ) -> AbstractAsyncContextManager[BittensorService]:
        settings = database_variables(database_url, tmp_path) | variables
        return running_bittensor(settings, servers.serving, clock)

    return service


@pytest.fixture
async def service(start: Start) -> AsyncIterator[BittensorService]:
    """A service with the wallet `validator` in its vault."""
    async with start() as service:
        await import_validator(service)
        yield service
