"""The commands as an operator runs them."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from strongroom.core.storage.database import Database, sqlite_url
from support.hathor.running import synced
from support.ports import free_port, own_ports
from support.processes import Process, strongroom

ADDRESS = "WTMKB5FdxqGpzUw5YW8tJXHy4bBCHRTdZU"


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    return {
        "STRONGROOM_DATA": str(tmp_path),
        **own_ports(),
        "COLUMNS": "200",
    }


@pytest.fixture
def service(variables: dict[str, str]) -> Iterator[Process]:
    with strongroom("serve", "hathor", "--sandbox", environment=variables) as process:
        process.wait_ready()
        yield process


async def faucet(variables: dict[str, str]) -> None:
    url = f"http://127.0.0.1:{variables['SANDBOX_HATHOR_PORT']}/"
    async with (
        aiohttp.ClientSession(base_url=url) as session,
        session.post("_faucet", json={"address": ADDRESS, "value": 500}) as answer,
    ):
        assert answer.status == 200


async def test_serve_follows_its_sandbox_over_restarts_and_verify_agrees(
    variables: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "hathor.sqlite3"
    last = -1
    for _ in range(2):
        with strongroom("serve", "hathor", "--sandbox", environment=variables) as process:
            process.wait_ready()
            await faucet(variables)
            database = Database(sqlite_url(str(path)))
            await synced(database, last + 3)
            await database.close()
            with strongroom("hathor", "verify", environment=variables) as verify:
                assert verify.wait_end() == 0, verify.logs()
                assert " 0 differences found" in verify.stdout[-1]
            assert process.terminate() == 0, process.logs()
        with sqlite3.connect(path) as connection:
            (last,) = connection.execute("SELECT last_event_id FROM sync_metadata").fetchone()


async def test_verify_reports_and_repairs(
    variables: dict[str, str], service: Process, tmp_path: Path
) -> None:
    await faucet(variables)
    database = Database(sqlite_url(str(tmp_path / "hathor.sqlite3")))
    await synced(database, 30)
    await database.close()
    with sqlite3.connect(tmp_path / "hathor.sqlite3", timeout=10) as connection:
        connection.execute("UPDATE address SET transactions = 99 WHERE address = ?", (ADDRESS,))
    with strongroom("hathor", "verify", environment=variables) as verify:
        assert verify.wait_end() == 1, verify.logs()
        assert f"address {ADDRESS}: found (99,), expected (1,)" in verify.stdout
    with strongroom("hathor", "verify", "--repair", environment=variables) as verify:
        assert verify.wait_end() == 0, verify.logs()
        assert "1 differences repaired" in verify.stdout[-1]
    with strongroom("hathor", "verify", environment=variables) as verify:
        assert verify.wait_end() == 0, verify.logs()
    assert service.running


async def test_sync_ends_at_a_wrong_node(variables: dict[str, str], service: Process) -> None:
    await faucet(variables)
    other = variables | {
        "STRONGROOM_DATA": variables["STRONGROOM_DATA"] + "/other",
        "MANAGEMENT_PORT": str(free_port()),
        "NETWORK": "mainnet",
        "DEFAULT_SERVER": f"http://127.0.0.1:{variables['SANDBOX_HATHOR_PORT']}/v1a/",
    }
    with strongroom("sync", "hathor", environment=other) as sync:
        assert sync.wait_end() == 1, sync.logs()
        assert "set FULLNODE_NETWORK to the node's name for it" in sync.stderr[-1]
    assert service.running


async def test_the_sandbox_makes_its_own_secret_and_serves_wallets(
    service: Process, variables: dict[str, str], tmp_path: Path
) -> None:
    secret = tmp_path / "hathor-auth-secret"
    assert (secret.stat().st_mode & 0o777, len(secret.read_text().strip())) == (0o600, 64)
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{variables['HATHOR_PORT']}/version") as answer,
    ):
        assert (answer.status, (await answer.json())["data"]["network"]) == (200, "privatenet")
    assert service.terminate() == 0
    assert secret.read_text().strip() not in service.logs()
