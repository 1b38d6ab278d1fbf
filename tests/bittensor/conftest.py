"""The Bittensor service of the tests: a database a test."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from strongroom.bittensor.definition import REVISIONS
from strongroom.core.clock import Clock
from strongroom.core.storage.database import Database, sqlite_url
from support.bittensor.live_node import LiveNode, live_node, new_node
from support.bittensor.weighing import OTHERS
from support.bittensor_service import (
    HOT,
    BittensorService,
    database_variables,
    import_validator,
    running_bittensor,
)
from support.mariadb import MariaDB
from support.schema import Schemas
from support.serving import Servers

Start = Callable[..., AbstractAsyncContextManager[BittensorService]]


@pytest.fixture
async def node() -> AsyncIterator[LiveNode]:
    """A chain with the newest runtime."""
    async with live_node(new_node(424, [HOT.public_key, *OTHERS])) as running:
        yield running


@pytest.fixture(scope="module")
async def servers() -> AsyncIterator[Servers]:
    async with Servers() as servers:
        yield servers


@pytest.fixture
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], URL]:
    """Makes a fresh database on the engine of this name."""

    def new(engine: str) -> URL:
        schemas: Schemas = request.getfixturevalue("schemas")
        if engine == "sqlite":
            return schemas.fill(sqlite_url(str(tmp_path / "bittensor.sqlite3")), [REVISIONS])
        server: MariaDB = request.getfixturevalue("mariadb")
        return schemas.fill(server.new_database(), [REVISIONS])

    return new


@pytest.fixture(params=["sqlite", "mariadb"])
def database_url(request: pytest.FixtureRequest, new_database: Callable[[str], URL]) -> URL:
    """A fresh database on each engine, where the service looks for it."""
    return new_database(request.param)


@pytest.fixture
async def database(database_url: URL) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


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
