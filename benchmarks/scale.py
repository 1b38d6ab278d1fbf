"""What grows with addresses, transactions and wallets: rows that each question reads at three sizes a factor of ten apart.

    .venv/bin/python benchmarks/scale.py [--sizes 10000 100000 1000000] [--parts core atto hathor] [--sqlite] [--connections 5000]

A private MariaDB is filled with rows of the service's own tables at each size. Then each case, which is the service's own code
(`tests/support/scale`), runs twice: once to warm up, once counted. Rows, writes and statements are the server's own counters, which
no other load on the machine changes; the exponent is the slope of rows over size between the two largest sizes, on logarithmic
scales: 0 where the tables may be of any size, 1 where it reads them from end to end. Times are medians of five, and rough. `--sqlite`
counts steps of SQLite's virtual machine instead. The bytes of a row are those of its table and indexes after the fill.
`--connections` measures what an idle connection of HTTP costs the process that serves it.
"""

import argparse
import asyncio
import logging
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import structlog
from sqlalchemy.engine import URL

from strongroom.core.storage.database import sqlite_url
from support.databases import execute_elsewhere
from support.mariadb import MariaDB, running_mariadb
from support.ports import free_port
from support.scale.cases import PARTS, Case, prepared
from support.scale.counting import Cost, Meter, ServerMeter, SqliteMeter, counted_steps
from support.scale.every_case import cases_of

SIZES = (10_000, 100_000, 1_000_000)
REPEATS = 5
WARM = 200
"""So many connections are opened first, so that the process has what it needs at all."""
OF_A_PEER = 200
MEMORY_MIB = 4096
TABLES = """
SELECT TABLE_NAME, TABLE_ROWS, DATA_LENGTH, INDEX_LENGTH FROM information_schema.TABLES
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_ROWS > 99 ORDER BY TABLE_NAME
"""


@dataclass(kw_only=True)
class Line:
    """One case at all sizes."""

    costs: list[Cost] = field(default_factory=list)
    times_ms: list[float] = field(default_factory=list)

    @property
    def exponent(self) -> float:
        """Between the two largest sizes, which are a factor of ten apart."""
        *_, before, last = (max(1, cost.read) for cost in self.costs)
        return math.log10(last / before)

    def text(self, name: str) -> str:
        last = self.costs[-1]
        reads = " | ".join(f"{cost.read:,}" for cost in self.costs)
        return (
            f"| {name} | {reads} | {self.exponent:.2f} | {last.written} | {last.statements}"
            f" | {self.times_ms[0]:.1f} → {self.times_ms[-1]:.1f} |"
        )


async def measure(part: str, size: int, url: URL, meter: SqliteMeter | None, lines: dict[str, Line]) -> None:
    began_s = time.monotonic()
    async with prepared(part, url, size) as database:
        print(f"{part}: {size:,} filled in {time.monotonic() - began_s:.0f} s", file=sys.stderr, flush=True)
        cases = await cases_of(part, database, size)
        counting: Meter = meter or ServerMeter(url)
        for case in cases:
            await case.work()
            line = lines.setdefault(case.name, Line())
            line.costs.append(await counting.cost(case.work))
            line.times_ms.append(await median_ms(case))
            said = f"{size:,} {case.name}: {line.costs[-1]}, {line.times_ms[-1]:.1f} ms"
            print(said, file=sys.stderr, flush=True)
    if meter is None:
        for row in execute_elsewhere(url, TABLES):
            name, rows, data, indexes = row[0], *map(int, row[1:])
            print(f"| {part} `{name}` | {rows:,} | {data / rows:.0f} | {indexes / rows:.0f} |", flush=True)


async def median_ms(case: Case) -> float:
    took_ms = []
    for _ in range(REPEATS):
        began_s = time.perf_counter()
        await case.work()
        took_ms.append((time.perf_counter() - began_s) * 1000)
        if took_ms[-1] > 1000:
            break
    return statistics.median(took_ms)


def urls(server: MariaDB | None, folder: Path) -> Iterator[URL]:
    number = 0
    while True:
        number += 1
        yield server.new_database() if server else sqlite_url(str(folder / f"{number}.sqlite3"))


async def compare(
    parts: Sequence[str], sizes: Sequence[int], databases: Iterator[URL], meter: SqliteMeter | None
) -> None:
    for part in parts:
        lines: dict[str, Line] = {}
        for size in sizes:
            await measure(part, size, next(databases), meter, lines)
        for name, line in lines.items():
            print(line.text(name), flush=True)


def resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def measure_connections(count: int) -> None:
    """Prints the memory that each of `count` idle connections takes in the process that serves them."""
    port = free_port()
    served = f"import connections; connections.PORT = {port}; connections.serve()"
    process = subprocess.Popen([sys.executable, "-c", served], cwd=Path(__file__).parent)
    try:
        grown_kib = asyncio.run(idle_connections(process.pid, port, count))
    finally:
        process.kill()
        process.wait()
    print(f"{count:,} idle connections of HTTP: {grown_kib / count:.1f} KiB each")


async def idle_connections(pid: int, port: int, count: int) -> int:
    """Opens connections that ask once and then keep still; returns by how many KiB the process `pid` grows."""
    writers, before_kib = [], 0
    for number in range(WARM + count):
        reader, writer = await opened(port, f"127.0.1.{number // OF_A_PEER}")
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writers.append(writer)
        if number == WARM - 1:
            before_kib = resident_kib(pid)
    return resident_kib(pid) - before_kib


async def opened(port: int, own: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection from the address `own`, of this machine: the service bounds the connections of each address."""
    while True:
        try:
            return await asyncio.open_connection("127.0.0.1", port, local_addr=(own, 0))
        except OSError:
            await asyncio.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--sqlite", action="store_true")
    parser.add_argument("--connections", type=int, default=0)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.disable(logging.WARNING)
    if arguments.connections:
        measure_connections(arguments.connections)
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = None if arguments.sqlite else stack.enter_context(running_mariadb(memory_mib=MEMORY_MIB))
        meter = stack.enter_context(counted_steps()) if arguments.sqlite else None
        asyncio.run(compare(arguments.parts, arguments.sizes, urls(server, folder), meter))


if __name__ == "__main__":
    main()
