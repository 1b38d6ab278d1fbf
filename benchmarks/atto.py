"""The Atto service against the sandbox node, as real processes, in one run.

    .venv/bin/python benchmarks/atto.py [--mariadb] [--sends 300] [--accounts 10000]

Prints sends per second with 1 and with 64 accounts (the node takes 100 ms to confirm; work costs about 1 ms, in the
sandbox's process), the service's CPU time per send, latencies, reads at 32 connections, and the time to `ready` with
many accounts; each beside its aim. Node, work server and client share the machine with the service.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.mariadb import running_mariadb
from support.ports import free_port
from support.processes import Process, strongroom

CONFIRMATION_MS = 100
PARALLEL_ACCOUNTS = 64
CONNECTIONS = 32
READS = 3000
FUNDS_RAW = 10**12
AIM_CPU_MS = 5.0
AIM_RATIO = 20.0
AIM_READY_S = 5.0
TICKS = os.sysconf("SC_CLK_TCK")
KEK = "00" * 32
# Nobody here receives what is sent, so that only sends are measured.
STRANGER = "aabaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaevjhdj47s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a batch of requests took."""

    count: int
    wall_s: float
    cpu_s: float
    latencies_s: list[float]

    @property
    def rate(self) -> float:
        return self.count / self.wall_s

    @property
    def cpu_ms(self) -> float:
        return 1000 * self.cpu_s / self.count

    def percentile_ms(self, percent: int) -> float:
        return 1000 * statistics.quantiles(self.latencies_s, n=100)[percent - 1]

    def report(self, name: str) -> None:
        print(
            f"{name:<42} {self.rate:8.1f}/s   CPU {self.cpu_ms:5.2f} ms each"
            f"   p50 {self.percentile_ms(50):7.1f} ms   p99 {self.percentile_ms(99):7.1f} ms"
        )


class Bench:
    """The processes, and a client for them."""

    def __init__(self, stack: ExitStack, folder: Path, variables: dict[str, str]) -> None:
        self._stack = stack
        node, work, self.port = free_port(), free_port(), free_port()
        self.node_url = f"http://127.0.0.1:{node}"
        self.url = f"http://127.0.0.1:{self.port}"
        self._sandbox_environment = {
            "STRONGROOM_DATA": str(folder),
            "SANDBOX_ATTO_NODE_PORT": str(node),
            "SANDBOX_ATTO_WORK_PORT": str(work),
        }
        self._environment = {
            "STRONGROOM_DATA": str(folder),
            "NETWORK": "LOCAL",
            "NODE_BASE_URL": self.node_url,
            "WORK_BASE_URL": f"http://127.0.0.1:{work}",
            "CHA_CHA20_KEY_ENCRYPTION_KEY": KEK,
            "ATTO_PORT": str(self.port),
            "MANAGEMENT_PORT": "0",
            **variables,
        }
        stack.enter_context(strongroom("sandbox", "atto", environment=self._sandbox_environment)).wait_ready()
        self.service: Process
        self.start()
        limits = httpx2.Limits(max_connections=200, max_keepalive_connections=200)
        self.client = httpx2.AsyncClient(base_url=self.url, timeout=120, limits=limits, trust_env=False)

    def start(self) -> float:
        """Starts the service; seconds until it is ready."""
        started_s = time.monotonic()
        self.service = self._stack.enter_context(strongroom("serve", "atto", environment=self._environment))
        self.service.wait_ready(60)
        return time.monotonic() - started_s

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.service.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_mb(self) -> float:
        status = Path(f"/proc/{self.service.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        response = await self.client.request(method, path, json=body)
        response.raise_for_status()
        return response.json() if response.content else None

    async def measure(self, count: int, parallel: int, one: Callable[[int], Awaitable[object]]) -> Load:
        """Runs `one(lane)` `count` times over `parallel` lanes."""
        latencies: list[float] = []
        left = iter(range(count))

        async def lane(number: int) -> None:
            for _ in left:
                started_s = time.perf_counter()
                await one(number)
                latencies.append(time.perf_counter() - started_s)

        cpu_s, started_s = self.cpu_s(), time.perf_counter()
        await asyncio.gather(*(lane(number) for number in range(parallel)))
        wall_s = time.perf_counter() - started_s
        return Load(count=count, wall_s=wall_s, cpu_s=self.cpu_s() - cpu_s, latencies_s=latencies)


async def funded_accounts(bench: Bench) -> list[str]:
    await bench.call("POST", "/wallets/bench")
    accounts = await bench.call("POST", f"/wallets/bench/accounts/ranges/{PARALLEL_ACCOUNTS - 1}")
    addresses = [account["address"] for account in accounts]
    for address in addresses:
        await bench.call("POST", f"{bench.node_url}/_faucet", {"address": address, "amount": FUNDS_RAW})
    while (await bench.call("GET", "/wallets/bench/totals"))["openedAccounts"] < PARALLEL_ACCOUNTS:
        await asyncio.sleep(0.1)
    return addresses


async def sends(bench: Bench, addresses: list[str], count: int) -> None:
    await bench.call("POST", f"{bench.node_url}/_fault", {"confirmation_delay_ms": CONFIRMATION_MS})

    async def send(lane: int) -> None:
        body = {"receiverAddress": STRANGER, "amount": 1}
        await bench.call("POST", f"/wallets/accounts/{addresses[lane]}/transactions/SEND", body)

    await send(0)
    one = await bench.measure(max(count // 6, 30), 1, send)
    many = await bench.measure(count * 4, PARALLEL_ACCOUNTS, send)
    one.report("sends, 1 account")
    many.report(f"sends, {PARALLEL_ACCOUNTS} accounts")
    print(
        f"  ratio {many.rate / one.rate:.1f} (aim {AIM_RATIO:.0f})   CPU per send {many.cpu_ms:.2f} ms (aim {AIM_CPU_MS})"
    )
    await bench.call("POST", f"{bench.node_url}/_fault", {"confirmation_delay_ms": 0})


async def reads(bench: Bench, addresses: list[str]) -> None:
    async def details(lane: int) -> None:
        await bench.call("GET", f"/wallets/accounts/{addresses[lane]}/details")

    async def history(lane: int) -> None:
        await bench.call("GET", f"/wallets/accounts/{addresses[lane]}/entries?limit=50")

    (await bench.measure(READS, CONNECTIONS, details)).report(f"GET details, {CONNECTIONS} connections")
    (await bench.measure(READS, CONNECTIONS, history)).report(f"GET history of 50, {CONNECTIONS} connections")


async def start_up(bench: Bench, accounts: int) -> None:
    await bench.call("POST", "/wallets/large")
    started_s = time.monotonic()
    await bench.call("POST", f"/wallets/large/accounts/ranges/{accounts - 1}")
    print(f"range of {accounts} accounts: {time.monotonic() - started_s:.2f} s")
    bench.service.terminate()
    ready_s = bench.start()
    print(f"start-up with {accounts} accounts: ready after {ready_s:.2f} s (aim {AIM_READY_S:.0f})")
    print(f"memory {bench.memory_mb():.0f} MB")


async def run(bench: Bench, count: int, accounts: int) -> None:
    addresses = await funded_accounts(bench)
    await sends(bench, addresses, count)
    await reads(bench, addresses)
    await start_up(bench, accounts)
    await bench.client.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mariadb", action="store_true", help="store in MariaDB instead of SQLite")
    parser.add_argument("--sends", type=int, default=300)
    parser.add_argument("--accounts", type=int, default=10_000)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        variables: dict[str, str] = {}
        if arguments.mariadb:
            url = stack.enter_context(running_mariadb(durable=True)).new_database()
            variables = {
                "ATTO_DB_HOST": url.host or "",
                "ATTO_DB_PORT": str(url.port),
                "ATTO_DB_NAME": url.database or "",
                "ATTO_DB_USER": url.username or "",
                "ATTO_DB_PASSWORD": str(url.password),
            }
        print(f"database: {'MariaDB' if arguments.mariadb else 'SQLite'}")
        asyncio.run(run(Bench(stack, folder, variables), arguments.sends, arguments.accounts))


if __name__ == "__main__":
    main()
