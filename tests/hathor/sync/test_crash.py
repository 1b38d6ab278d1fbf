"""Whatever dies when: every event is applied exactly once."""

import asyncio
import random
import sys
from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy.engine import URL

from strongroom.core.clock import SystemClock
from strongroom.core.storage.cluster.waiting import waits
from strongroom.core.storage.database import Database
from strongroom_sandbox.hathor.generate import Generator
from strongroom_sandbox.hathor.journal import Journal
from support.hathor.model import Model, stored_tables
from support.hathor.running import replaying, serving_node, synced
from support.hathor.streams import prepare
from support.ports import free_port
from support.processes import Process
from support.sql import execute


def environment(url: URL, node_url: str, folder: Path) -> dict[str, str]:
    """What `strongroom sync hathor` needs; a small window makes many transactions."""
    variables = {
        "NETWORK": "mainnet",
        "DEFAULT_SERVER": node_url,
        "STRONGROOM_DATA": str(folder),
        "MANAGEMENT_PORT": str(free_port()),
        "HATHOR_SYNC_WINDOW": "20",
    }
    if url.get_backend_name() != "sqlite":
        variables |= {
            "DB_ENDPOINT": url.host or "",
            "DB_PORT": str(url.port),
            "DB_NAME": url.database or "",
            "DB_USER": url.username or "",
            "DB_PASS": str(url.password),
            "STRONGROOM_WAIT_FOR_NODES": str(waits(url)),
        }
    return variables


def start(variables: dict[str, str]) -> Process:
    return Process([sys.executable, "-m", "strongroom", "sync", "hathor"], environment=variables)


async def check(database: Database, journal: Journal) -> None:
    expected = Model(10).apply(journal.events).tables(SystemClock().now_ms() // 1000)
    assert await database.read(stored_tables) == expected


def free_lease(connection: Connection) -> None:
    """The dead process's term ends now, not in seconds."""
    execute(connection, "UPDATE strongroom_lease SET expires_at_ms = 0")


@pytest.fixture
def sync_url(database_url: URL, tmp_path: Path) -> URL:
    """SQLite under the name that the service gives it."""
    if database_url.get_backend_name() != "sqlite":
        return database_url
    return database_url.set(database=str(tmp_path / "hathor.sqlite3"))


async def test_kill_in_a_loop(sync_url: URL, tmp_path: Path) -> None:
    database = Database(sync_url)
    await prepare(database)
    generator = Generator(21)
    journal = generator.run(500)
    dice = random.Random(21)
    async with serving_node(replaying(journal)) as node_url:
        variables = environment(sync_url, node_url, tmp_path)
        for _ in range(4):
            process = await asyncio.to_thread(start, variables)
            target = min(journal.latest_id, journal.latest_id - dice.randrange(200))
            try:
                generator.run(len(journal.events) + 150)  # alive while it works
                await synced(database, target)
            finally:
                process.kill()
            await database.write(free_lease)
        with await asyncio.to_thread(start, variables):
            await synced(database, journal.latest_id)
    await check(database, journal)
    await database.close()


async def test_two_daemons_and_the_death_of_the_leader(sync_url: URL, tmp_path: Path) -> None:
    """The second takes over within 10 seconds."""
    database = Database(sync_url)
    await prepare(database)
    generator = Generator(22)
    journal = generator.run(300)
    async with serving_node(replaying(journal)) as node_url:
        processes = [
            await asyncio.to_thread(start, environment(sync_url, node_url, tmp_path)) for _ in range(2)
        ]
        try:
            await synced(database, journal.latest_id)
            leader = next(p for p in processes if "lease taken" in p.logs())
            leader.kill()
            generator.run(600)
            async with asyncio.timeout(
                12
            ):  # the lease's 8 s and a quarter of them; the rest is the machine's
                await synced(database, journal.latest_id)
        finally:
            for process in processes:
                process.kill()
    await check(database, journal)
    await database.close()
