"""The Hathor API under load: one `strongroom serve hathor` process on MariaDB, asked by wrk and by the official library.

    .venv/bin/python benchmarks/hathor_api.py [--addresses 100000] [--seconds 10]

Needs `wrk` (Debian has it) and what the tests need. Prints requests per second, latencies and the service's processor
time per request for balances, history and outputs; how long the official wallet's start() takes with 4,000 used
addresses; and the memory of the service. `--addresses 10000000` loads as many other addresses first, as a public
network has. Service, database and load generator share the machine.

The original, self-hosted: 184 balances/s with 32 connections (p99 288 ms), 204 histories/s, 43 answers of 100
outputs/s, 3.4 s from start() to ready with 4,000 used addresses, 0.9 GB.
"""

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import URL

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from strongroom.core.clock import SystemClock, SystemEntropy
from strongroom.core.environment import Secret
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import migrate
from strongroom.core.storage.statements import Statement
from strongroom.hathor import tables
from strongroom.hathor.definition import REVISIONS
from strongroom.hathor.wallets.jwt import Tokens
from support.hathor.busy_wallets import (
    Plan,
    chain_addresses,
    full_token,
    load_ready_wallets,
    load_seen_addresses,
    wallet_ids,
)
from support.hathor.many_rows import LOADED_AT_ONCE, load_rows
from support.hathor.processes import AUTH_SECRET, NodeProgram, WalletProgram, database_variables
from support.mariadb import running_mariadb

PLAN = Plan(wallets=200, addresses=24, transactions=100)
USED_ADDRESSES = 4_000
MEMORY_MIB = 1024
"""Of MariaDB's buffer pool: a small production server."""
TICKS = os.sysconf("SC_CLK_TCK")
ROUTES = (
    ("balances", "/wallet/balances"),
    ("history, 20 entries", "/wallet/history?count=20"),
    ("history, 50 entries", "/wallet/history"),
    ("outputs, 100", "/wallet/tx_outputs"),
    ("status", "/wallet/status"),
)
SCRIPT = """\
local requests, at = {{}}, 0
init = function()
  for token in io.lines("{tokens}") do
    requests[#requests + 1] = wrk.format("GET", "{path}", {{ ["Authorization"] = "Bearer " .. token }})
  end
end
request = function()
  at = at % #requests + 1
  return requests[at]
end
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    rate: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float

    def report(self, name: str, connections: int) -> None:
        print(
            f"{name:<22} {connections:>4} connections {self.rate:8,.0f}/s   CPU {self.cpu_ms:.2f} ms each"
            f"   p50 {self.p50_ms:6.1f} ms   p99 {self.p99_ms:6.1f} ms",
            flush=True,
        )


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mib(pid: int, field: str) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().partition(f"{field}:")[2].split()[0]) // 1024


def wrk(service: WalletProgram, folder: Path, path: str, connections: int, seconds: int) -> Load:
    script = folder / "requests.lua"
    script.write_text(SCRIPT.format(tokens=folder / "tokens", path=path))
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--timeout",
        "20s",
        "--latency",
        "-s",
        str(script),
        service.url,
    ]
    before_s = cpu_s(service.process.pid)
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    used_s = cpu_s(service.process.pid) - before_s
    if "Non-2xx" in told or "Socket errors" in told:
        raise RuntimeError(told)
    count = int(_first(r"(\d+) requests in", told))
    return Load(
        rate=float(_first(r"Requests/sec:\s+([\d.]+)", told)),
        p50_ms=_milliseconds(_first(r"\n +50%\s+(\S+)", told)),
        p99_ms=_milliseconds(_first(r"\n +99%\s+(\S+)", told)),
        cpu_ms=1000 * used_s / count,
    )


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(text)
    return found[1]


def _milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(\D+)", text).groups()  # type: ignore[union-attr]  # wrk's own form
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


async def prepare(url: URL, folder: Path, addresses: int) -> None:
    database = Database(url)
    await migrate(database, [REVISIONS])
    started_s = time.monotonic()
    for first in range(0, addresses, LOADED_AT_ONCE):
        await database.write(partial(load_rows, count=addresses, first=first), answer_s=None)
    await database.write(lambda c: load_ready_wallets(c, PLAN), answer_s=None)
    for table in tables.metadata.tables:  # a server that has run for a while knows what its tables hold
        await database.query(Statement(text(f"ANALYZE TABLE `{table}`")))
    print(f"loaded {addresses:,} addresses in {time.monotonic() - started_s:.0f} s", flush=True)
    clock = SystemClock()
    tokens = Tokens([Secret(AUTH_SECRET)], clock, SystemEntropy())
    now_s = clock.now_ms() // 1000
    made = [full_token(tokens, wallet, now_s) for wallet in wallet_ids(PLAN)]
    (folder / "tokens").write_text("\n".join(made) + "\n")
    await database.close()


async def measure_start(service: WalletProgram, url: URL) -> None:
    """The official wallet, from start() to ready: the first time, and when it is loaded already."""
    async with service.judge() as client:
        await client.started(realtime=False)  # compiles what every start needs
        words = await client.new_words()
        xpub = await client.call("xpub", words=words)
        database = Database(url)
        seen = chain_addresses(xpub, USED_ADDRESSES)
        await database.write(lambda c: load_seen_addresses(c, seen), answer_s=None)
        await database.close()
        for name in ("first start()", "start() again"):
            wallet = await client.open(words, realtime=False)
            took_ms = await wallet.start()
            balance = await wallet.balance()
            if balance != (7 * USED_ADDRESSES, 0):
                raise RuntimeError(f"the wallet has {balance}")
            print(f"{name}, {USED_ADDRESSES:,} used addresses: {took_ms / 1000:.2f} s to ready", flush=True)


@contextmanager
def prepared(addresses: int, folder: Path) -> Iterator[URL]:
    with running_mariadb(durable=True, memory_mib=MEMORY_MIB) as server:
        url = server.new_database()
        asyncio.run(prepare(url, folder, addresses))
        yield url


async def measure(url: URL, folder: Path, seconds: int, connections: Sequence[int], route: str) -> None:
    async with NodeProgram(folder / "node") as node:
        variables = {"STRONGROOM_DATA": str(folder / "service"), **database_variables(url)}
        async with WalletProgram(node, variables) as service:
            pid = service.process.pid
            print(f"memory of the service at rest: {memory_mib(pid, 'VmRSS')} MiB", flush=True)
            for name, path in ROUTES:
                if route and not name.startswith(route):
                    continue
                for count in connections:
                    load = await asyncio.to_thread(wrk, service, folder, path, count, seconds)
                    load.report(name, count)
            await measure_start(service, url)
            print(f"most memory of the service: {memory_mib(pid, 'VmHWM')} MiB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--addresses", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--connections", type=int, nargs="+", default=[32, 256])
    parser.add_argument("--route", default="", help="only those whose name begins so")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with prepared(arguments.addresses, folder) as url:
            asyncio.run(measure(url, folder, arguments.seconds, arguments.connections, arguments.route))


if __name__ == "__main__":
    main()
