"""The database is away when a service starts: it waits, says so, and serves when the database is there."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy.engine import URL

from support.atto_service import until
from support.mariadb import MariaDB, running_mariadb
from support.ports import free_port
from support.processes import Process, strongroom

pytestmark = pytest.mark.anyio

NOWHERE = 9  # the port of a service that no machine has


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One ledger as an operator configures it, its node away too."""

    name: str
    variables: Callable[[URL], dict[str, str]]
    port_variable: str
    path: str
    refusal: dict[str, Any]
    password_variable: str


def atto(url: URL) -> dict[str, str]:
    return _database("ATTO_DB", url) | {"NETWORK": "local", "NODE_BASE_URL": f"http://127.0.0.1:{NOWHERE}"}


def bittensor(url: URL) -> dict[str, str]:
    return _database("BITTENSOR_DB", url) | {
        "network": "local",
        "chain_endpoint": f"ws://127.0.0.1:{NOWHERE}",
    }


def hathor(url: URL) -> dict[str, str]:
    return {
        "HATHOR_NETWORK": "privatenet",
        "DEFAULT_SERVER": f"http://127.0.0.1:{NOWHERE}/v1a/",
        "AUTH_SECRET": "only-for-tests, and long enough for one",
        "HATHOR_WS_PORT": str(free_port()),
        "DB_ENDPOINT": str(url.host),
        "DB_PORT": str(url.port),
        "DB_NAME": str(url.database),
        "DB_USER": str(url.username),
        "DB_PASS": str(url.password),
    }


def _database(prefix: str, url: URL) -> dict[str, str]:
    return {
        f"{prefix}_HOST": str(url.host),
        f"{prefix}_PORT": str(url.port),
        f"{prefix}_NAME": str(url.database),
        f"{prefix}_USER": str(url.username),
        f"{prefix}_PASSWORD": str(url.password),
    }


KINDS = [
    Kind(
        name="atto",
        variables=atto,
        port_variable="ATTO_PORT",
        path="/wallets",
        refusal={"status": 503, "error": "Service Unavailable", "code": "database_unavailable"},
        password_variable="ATTO_DB_PASSWORD",
    ),
    Kind(
        name="hathor",
        variables=hathor,
        port_variable="HATHOR_PORT",
        path="/wallet/status",
        refusal={"success": False, "error": "service-unavailable"},
        password_variable="DB_PASS",
    ),
    Kind(
        name="bittensor",
        variables=bittensor,
        port_variable="BITTENSOR_PORT",
        path="/wallet/keys",
        refusal={"code": "database_unavailable", "submitted": False},
        password_variable="BITTENSOR_DB_PASSWORD",
    ),
]


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDB]:
    with running_mariadb() as server:
        yield server


class Started:
    """A service that was started, whether it is ready or not."""

    def __init__(self, kind: Kind, variables: dict[str, str], folder: Path) -> None:
        port, management_port = free_port(), free_port()
        self.kind = kind
        self.url = f"http://127.0.0.1:{port}"
        self.management_url = f"http://127.0.0.1:{management_port}"
        self.process: Process = strongroom(
            "serve",
            kind.name,
            environment={
                **variables,
                "STRONGROOM_DATA": str(folder),
                kind.port_variable: str(port),
                "MANAGEMENT_PORT": str(management_port),
                "LOG_FORMAT": "json",
            },
        )

    async def ask(self, path: str) -> httpx2.Response | None:
        """None: the port is not open yet."""
        async with httpx2.AsyncClient(verify=False, trust_env=False, timeout=5) as client:
            try:
                return await client.get(path)
            except httpx2.TransportError:
                return None

    async def until_status(self, path: str, status: int) -> httpx2.Response:
        found = await until(lambda: self.ask(path), lambda one: one is not None and one.status_code == status)
        assert found is not None
        return found


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_it_waits_and_then_serves(kind: Kind, server: MariaDB, tmp_path: Path) -> None:
    url = server.new_database()
    await asyncio.to_thread(server.stop)
    started = Started(kind, kind.variables(url), tmp_path)
    try:
        with started.process:
            alive = await started.until_status(f"{started.management_url}/health/liveness", 200)
            assert alive.json()["status"] == "UP"
            not_ready = await started.until_status(f"{started.management_url}/health/readiness", 503)
            assert not_ready.json()["status"] == "DOWN"
            whole = await started.until_status(f"{started.management_url}/health", 503)
            database = whole.json()["components"][f"{kind.name}Database"]
            assert database["status"] == "DOWN"
            assert "127.0.0.1" not in whole.text
            refused = await started.until_status(started.url + kind.path, 503)
            assert kind.refusal.items() <= refused.json().items()
            assert started.process.running
            await asyncio.to_thread(server.start)
            await started.until_status(f"{started.management_url}/health/readiness", 200)
            await asyncio.to_thread(started.process.wait_ready)
            answer = await started.ask(started.url + kind.path)
            assert answer is not None
            assert answer.status_code != 503
            assert await asyncio.to_thread(started.process.terminate) == 0
    finally:
        await asyncio.to_thread(_start_again, server)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_while_it_waits_it_ends_when_asked(kind: Kind, server: MariaDB, tmp_path: Path) -> None:
    variables = kind.variables(server.url("none").set(port=NOWHERE))
    with Started(kind, variables, tmp_path).process as process:
        await asyncio.to_thread(process.wait_for, "failed")
        assert await asyncio.to_thread(process.terminate) == 0


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_a_wrong_password_ends_it_at_once(kind: Kind, server: MariaDB, tmp_path: Path) -> None:
    variables = kind.variables(server.new_database()) | {kind.password_variable: "wrong"}
    with Started(kind, variables, tmp_path).process as process:
        assert await asyncio.to_thread(process.wait_end) == 1
        assert "cannot be used" in process.logs()
        assert "Traceback" not in process.logs()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_the_database_goes_away_later(kind: Kind, server: MariaDB, tmp_path: Path) -> None:
    started = Started(kind, kind.variables(server.new_database()), tmp_path)
    try:
        with started.process:
            await started.until_status(f"{started.management_url}/health/readiness", 200)
            await asyncio.to_thread(server.stop)
            not_ready = await started.until_status(f"{started.management_url}/health/readiness", 503)
            assert not_ready.json()["components"][f"{kind.name}Database"]["status"] == "DOWN"
            alive = await started.ask(f"{started.management_url}/health/liveness")
            assert alive is not None
            assert alive.status_code == 200
            await asyncio.to_thread(server.start)
            await started.until_status(f"{started.management_url}/health/readiness", 200)
    finally:
        await asyncio.to_thread(_start_again, server)


def _start_again(server: MariaDB) -> None:
    """For the next test, whatever this one came to."""
    if not server.is_running:
        server.start()
