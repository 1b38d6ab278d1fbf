"""The Hathor sync against the sandbox node, as real processes.

    .venv/bin/python benchmarks/hathor_sync.py [--mariadb] [--events 200000] [--rows 0]

Measures the recorded stream of 8,051 events (the original: 30.3 s with MariaDB, 266 events/s) and a generated chain;
start-up is not included. `--rows N` first loads N unrelated addresses with a balance each, to see
how the rate holds when the tables are large. Node, service and database share the machine.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.engine import URL

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from strongroom.core.clock import SystemClock
from strongroom.core.http.exposure import Access
from strongroom.core.http.listener import Listener, Surface
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.core.storage.migrations import migrate
from strongroom.hathor import tables
from strongroom.hathor.definition import REVISIONS
from strongroom_sandbox.hathor.generate import PAYMENTS_ONLY, Generator, Plan
from strongroom_sandbox.hathor.journal import Journal
from strongroom_sandbox.hathor.node_app import create_node_app
from strongroom_sandbox.hathor.replay import recorded_journal, replaying_node
from support.hathor.many_rows import LOADED_AT_ONCE, load_rows
from support.mariadb import running_mariadb
from support.ports import free_port
from support.processes import Process
from support.sql import execute

STREAM = Path(__file__).resolve().parent.parent / "tests" / "vectors" / "hathor" / "bench_stream.jsonl.gz"
ORIGINAL_RATE = 266
MEMORY_MIB = 1024
"""Of MariaDB's buffer pool: a small production server."""


def journal_of(source: str) -> Journal:
    """`recorded`, or a number of events to generate."""
    if source != "recorded":
        return Generator(1, Plan(weights=PAYMENTS_ONLY)).run(int(source))
    return recorded_journal(STREAM)


async def serve_node(source: str, port: int) -> None:
    journal = journal_of(source)
    application = create_node_app(replaying_node(journal, SystemClock()))
    surface = Surface(
        name="node",
        application=application,
        host="127.0.0.1",
        port=port,
        access=Access.PUBLIC,
        messages_a_minute=1_000_000,
    )
    print(f"serving {len(journal.events)} events", flush=True)
    await Listener(surface).serve()


@contextmanager
def node_process(source: str) -> Iterator[tuple[str, int]]:
    """URL of a node and the number of its events."""
    port = free_port()
    command = [sys.executable, __file__, "--serve-node", source, "--port", str(port)]
    with Process(command) as process:
        line = process.wait_for("serving", timeout_s=300)
        time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1a/", int(line.split()[1])


def environment(url: URL, node_url: str, folder: Path, network: str) -> dict[str, str]:
    variables = {
        "NETWORK": "mainnet",
        "FULLNODE_NETWORK": network,
        "DEFAULT_SERVER": node_url,
        "STRONGROOM_DATA": str(folder),
        "MANAGEMENT_PORT": str(free_port()),
        "LOG_LEVEL": "WARNING",
    }
    if url.get_backend_name() != "sqlite":
        variables |= {
            "DB_ENDPOINT": url.host or "",
            "DB_PORT": str(url.port),
            "DB_NAME": url.database or "",
            "DB_USER": url.username or "",
            "DB_PASS": str(url.password),
        }
    return variables


def status_kib(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    return 0


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def last_event(connection: Connection) -> int:
    rows = execute(connection, "SELECT last_event_id FROM sync_metadata WHERE id = 0")
    return rows[0][0] if rows else -1


def disk_bytes(connection: Connection) -> int:
    if connection.dialect.name == "sqlite":
        pages = execute(connection, "PRAGMA page_count")[0][0]
        return int(pages) * int(execute(connection, "PRAGMA page_size")[0][0])
    for name in tables.metadata.tables:
        execute(connection, f"ANALYZE TABLE `{name}`")
    sql = "SELECT SUM(data_length + index_length) FROM information_schema.tables WHERE table_schema = DATABASE()"
    return int(execute(connection, sql)[0][0])


async def measure(url: URL, folder: Path, source: str, rows: int) -> None:
    database = Database(url)
    await migrate(database, [REVISIONS])
    for first in range(0, rows, LOADED_AT_ONCE):
        await database.write(partial(load_rows, count=rows, first=first))
    before = await database.read(disk_bytes)
    network = "unittests" if source == "recorded" else "mainnet"
    with node_process(source) as (node_url, events):
        with Process(
            [sys.executable, "-m", "strongroom", "sync", "hathor"],
            environment=environment(url, node_url, folder, network),
        ) as service:
            while await database.read(last_event) < 0:
                await asyncio.sleep(0.01)
            started_s, first = time.monotonic(), await database.read(last_event)
            while (last := await database.read(last_event)) < events - 1:
                await asyncio.sleep(0.02)
            took_s = time.monotonic() - started_s
            peak, used_s = status_kib(service.pid, "VmHWM") // 1024, cpu_s(service.pid)
        size = await database.read(disk_bytes) - before
    rate = (last - first) / took_s
    print(
        f"{url.get_backend_name():7} {source:>9} rows={rows:<9,} {events:,} events: {took_s:.2f} s after the"
        f" first batch, {rate:,.0f} events/s ({rate / ORIGINAL_RATE:.0f} times the original), peak {peak} MiB,"
        f" CPU {used_s:.1f} s, {size / events:,.0f} bytes/event",
        flush=True,
    )
    await database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mariadb", action="store_true")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--serve-node")
    parser.add_argument("--port", type=int)
    arguments = parser.parse_args()
    if arguments.serve_node:
        asyncio.run(serve_node(arguments.serve_node, arguments.port))
        return
    sources = [
        *(["recorded"] if not arguments.rows else []),
        *([str(arguments.events)] if arguments.events else []),
    ]
    for source in sources:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if not arguments.mariadb:
                url = sqlite_url(str(folder / "hathor.sqlite3"))
                asyncio.run(measure(url, folder, source, arguments.rows))
                continue
            with running_mariadb(durable=True, memory_mib=MEMORY_MIB) as server:
                asyncio.run(measure(server.new_database(), folder, source, arguments.rows))


if __name__ == "__main__":
    main()
