"""Programs that are killed and cables that are pulled: a network, a database of each kind, a service."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from strongroom.core.storage.database import sqlite_url
from support.atto_processes import NetworkProgram, running_network
from support.atto_service import SQLITE_NAME
from support.dying_database import DyingDatabase
from support.mariadb import MariaDB


@pytest.fixture(params=["sqlite", "mariadb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """An empty database on each engine, where the service looks for it."""
    if request.param == "sqlite":
        return sqlite_url(str(tmp_path / SQLITE_NAME))
    server: MariaDB = request.getfixturevalue("mariadb")
    return server.new_database()


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[NetworkProgram]:
    async with running_network(tmp_path) as network:
        yield network


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> Callable[[], DyingDatabase]:
    """The database of the service that was started last."""
    made: list[DyingDatabase] = []

    def make(url: URL) -> DyingDatabase:
        made.append(DyingDatabase(url))
        return made[-1]

    monkeypatch.setattr("strongroom.core.ledger.base.Database", make)
    return lambda: made[-1]
