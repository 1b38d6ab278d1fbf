"""Copies 100,000 rows between SQLite and MariaDB: rows a second, and the process's memory.

.venv/bin/python benchmarks/copying.py
"""

import asyncio
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from sqlalchemy import insert
from sqlalchemy.engine import URL

from strongroom.atto.definition import REVISIONS
from strongroom.atto.tables import entry
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.core.storage.migrations import migrate
from strongroom.core.storage.transfer.copying import Copying

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.mariadb import running_mariadb

ROWS = 100_000


def rows() -> list[dict[str, object]]:
    return [
        {
            "address": f"{number % 100:061d}",
            "height": number,
            "hash": number.to_bytes(32),
            "wallet_name": "benchmark",
            "block_type": 1,
            "subject": bytes(32),
            "previous_balance": number,
            "balance": 2**64 - 1 - number,
            "timestamp_ms": number,
        }
        for number in range(ROWS)
    ]


async def fill(url: URL) -> None:
    database = Database(url, pool_size=1)
    await migrate(database, (REVISIONS,))
    await database.write(lambda connection: connection.execute(insert(entry), rows()))
    await database.close()


def fill_now(url: URL) -> None:
    """In a process of its own."""
    asyncio.run(fill(url))


async def measure(source: URL, target: URL) -> None:
    begun_s = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await Copying(source=source, target=target, components=(REVISIONS,)).copy()
    took_s = time.perf_counter() - begun_s
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ways = f"{source.get_backend_name()} to {target.get_backend_name()}"
    print(
        f"{ways}: {ROWS / took_s:,.0f} rows/s, compared; {(after - before) / 1024:.0f} MiB more memory at the peak"
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as name, running_mariadb() as server:
        first, back = (sqlite_url(str(Path(name) / f"{one}.sqlite3")) for one in ("first", "back"))
        with ProcessPoolExecutor(1, get_context("spawn")) as another:  # whose memory does not count
            another.submit(fill_now, first).result()
        there = server.new_database()
        asyncio.run(measure(first, there))
        asyncio.run(measure(there, back))


if __name__ == "__main__":
    main()
