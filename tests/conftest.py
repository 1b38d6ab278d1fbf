"""What every test may use. Servers start with the first test that asks for them."""

import gc
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import hypothesis
import pytest
import structlog
from sqlalchemy.engine import URL

from strongroom.atto.gateway.work_engines import WIDTHS, NativeEngine
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.core.storage.migrations import Revisions
from support.clock import ManualClock, SeededEntropy
from support.databases import execute_elsewhere
from support.galera import Galera, Lag, running_galera
from support.mariadb import MariaDB, running_mariadb
from support.memory import prefer_memory
from support.redis import Redis, running_redis
from support.schema import Schemas, shared_schemas
from support.tiers import divide

pytest_plugins = ["support.custody.fixtures"]
prefer_memory()
# A property holds or not; how long an example takes is the machine's affair.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

# The default draws local variables around each line of a traceback, which takes a second for a deep one.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

TESTS = Path(__file__).parent


LONGEST_FIRST = ("judges", "crash", "canaries", "deploy", "docs", "commands", "bittensor", "hathor", "atto")
"""Folders whose files take longest: where several processes share the files, none is left with a long one at the end."""


@pytest.hookimpl(tryfirst=True)  # before `-m "not slow"` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Only a test that says why may be run again: `@pytest.mark.flaky(reruns=2, reason="...")`."""
    divide(items, TESTS)
    ranks = {name: rank for rank, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path.relative_to(TESTS).parts[0], len(ranks)))
    for item in items:
        for mark in item.iter_markers("flaky"):
            if not mark.kwargs.get("reason"):
                raise pytest.UsageError(f"{item.nodeid} may be run again, and does not say why")


def pytest_collection_finish() -> None:
    """Thousands of collected tests stay to the end: looking through them for garbage again and again costs a sixth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


def pytest_report_header() -> str:
    """Names what this machine cannot try."""
    widest = NativeEngine().lanes
    lacking = ", ".join(str(lanes) for lanes in WIDTHS if lanes > widest)
    return f"searches for Atto's work up to {widest} nonces wide; not tried here: {lacking or 'none'}"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    with running_mariadb() as server:
        yield server


@pytest.fixture(scope="module")
def galera() -> Iterator[Galera]:
    """Of a module: some kill a node."""
    with running_galera() as cluster:
        yield cluster


@pytest.fixture
async def lag(galera: Galera) -> AsyncIterator[Lag]:
    lag = Lag(galera)
    yield lag
    await lag.close()


@pytest.fixture(scope="session")
def redis() -> Iterator[Redis]:
    with running_redis() as server:
        yield server


@pytest.fixture(params=["sqlite", "mariadb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """A fresh, empty database on each engine."""
    if request.param == "sqlite":
        return sqlite_url(str(tmp_path / "test.sqlite3"))
    server: MariaDB = request.getfixturevalue("mariadb")
    return server.new_database()


@pytest.fixture
def elsewhere(database_url: URL) -> Callable[[str], list[list[str]]]:
    """Runs SQL in the test's database past the code under test."""
    return partial(execute_elsewhere, database_url)


@pytest.fixture(scope="session")
def schemas() -> Schemas:
    return shared_schemas()


@pytest.fixture(scope="session")
def components() -> Sequence[Revisions]:
    """Whose tables a fresh database has besides the core's."""
    return ()


@pytest.fixture
async def database(
    database_url: URL, schemas: Schemas, components: Sequence[Revisions]
) -> AsyncIterator[Database]:
    """A fresh database on each engine, with its tables."""
    schemas.fill(database_url, components)
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
async def replica(database: Database) -> AsyncIterator[Database]:
    """Another process's view of `database`."""
    other = Database(database.url)
    yield other
    await other.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def entropy() -> SeededEntropy:
    return SeededEntropy()
