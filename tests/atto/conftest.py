"""The Atto service of the tests: one network a module, a database a test or a module."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from strongroom.atto.definition import REVISIONS
from strongroom.core.storage.database import sqlite_url
from support.atto_network import AttoNetwork, running_network
from support.atto_service import SQLITE_NAME, AttoService, database_variables, running_service
from support.mariadb import MariaDB
from support.schema import Schemas
from support.serving import Servers

Start = Callable[..., AbstractAsyncContextManager[AttoService]]


@pytest.fixture(scope="module")
async def shared_network() -> AsyncIterator[AttoNetwork]:
    async with running_network() as network:
        yield network


@pytest.fixture(scope="module")
async def servers() -> AsyncIterator[Servers]:
    async with Servers() as servers:
        yield servers


@pytest.fixture
def network(shared_network: AttoNetwork) -> Iterator[AttoNetwork]:
    """The module's network; every test finds it whole."""
    shared_network.heal()
    yield shared_network
    shared_network.heal()


@pytest.fixture(params=["sqlite", "mariadb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """A fresh database on each engine, where the service looks for it."""
    return _new_database(request, tmp_path)


@pytest.fixture
def start(network: AttoNetwork, servers: Servers, database_url: URL, tmp_path: Path) -> Start:
    """Starts the service on the test's database, as often as it is called; arguments are more variables."""

    def service(**variables: str) -> AbstractAsyncContextManager[AttoService]:
        settings = database_variables(database_url, tmp_path) | variables
        return running_service(network, settings, servers.serving)

    return service


@pytest.fixture
async def service(start: Start) -> AsyncIterator[AttoService]:
    """A service of the test's own, with default settings."""
    async with start() as service:
        yield service


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
def shared_database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> URL:
    return _new_database(request, tmp_path_factory.mktemp("atto"))


@pytest.fixture(scope="module")
async def shared_service(
    shared_network: AttoNetwork, shared_database_url: URL, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[AttoService]:
    """One service for the tests of a module that leave it as it is; each makes wallets of its own."""
    variables = database_variables(shared_database_url, tmp_path_factory.mktemp("data"))
    async with running_service(shared_network, variables) as service:
        yield service


def _new_database(request: pytest.FixtureRequest, folder: Path) -> URL:
    schemas: Schemas = request.getfixturevalue("schemas")
    if request.param == "sqlite":
        return schemas.fill(sqlite_url(str(folder / SQLITE_NAME)), [REVISIONS])
    server: MariaDB = request.getfixturevalue("mariadb")
    return schemas.fill(server.new_database(), [REVISIONS])
