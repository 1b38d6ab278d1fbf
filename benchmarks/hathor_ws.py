"""The WebSocket for wallets: from a commit in one process to the last subscriber of another, and idle memory.

    .venv/bin/python benchmarks/hathor_ws.py [--without-redis]

A service with SQLite serves; this process writes messages as the sync does, and holds the clients.
"""

import argparse
import asyncio
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import cast

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from sqlalchemy import Connection

from strongroom.core.clock import SystemClock, SystemEntropy
from strongroom.core.environment import Secret
from strongroom.core.messaging.bus import Bus, RedisBus
from strongroom.core.messaging.outbox import Event, Outbox
from strongroom.core.runtime.telemetry import Health
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.hathor import tables
from strongroom.hathor.notifications.messages import DESTINATION
from support.hathor.wallets import XPUB
from support.ports import free_port
from support.processes import Process, strongroom
from support.redis import running_redis

SUBSCRIBERS = 1_000
IDLE = 5_000
ROUNDS = 200
ROUNDS_WITHOUT_REDIS = 50
MESSAGE_BYTES = 1_500
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


class Client(asyncio.Protocol):
    """Counts messages by their end, and does nothing else: a client library would cost more than the service."""

    def __init__(self, wallet_id: str, told: asyncio.Queue[float]) -> None:
        self._request = b'{"action":"join","id":"' + wallet_id.encode() + b'"}'
        self._told = told
        self._shaken = False
        self.joined: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        if not self._shaken:
            self._shaken = True
            self._transport.write(bytes((0x81, 0x80 | len(self._request), 0, 0, 0, 0)) + self._request)
        elif not self.joined.done():
            self.joined.set_result(b"join-success" in data)
        elif data[0] == 0x89:  # a ping with four bytes
            self._transport.write(b"\x8a\x84\0\0\0\0" + data[2:6])
        elif data.endswith(b'"}'):
            self._told.put_nowait(time.perf_counter())


@contextmanager
def serving(folder: Path, redis_url: str | None) -> Iterator[tuple[Process, int]]:
    port = free_port()
    variables = {
        "NETWORK": "mainnet",
        "DEFAULT_SERVER": "http://127.0.0.1:9/v1a/",
        "AUTH_SECRET": "only-for-benchmarks-and-long-enough",
        "STRONGROOM_DATA": str(folder),
        "HATHOR_PORT": str(free_port()),
        "HATHOR_WS_PORT": str(port),
        "STRONGROOM_CONNECTIONS_A_PEER": "20000",  # all of them come from this machine
        "MANAGEMENT_PORT": str(free_port()),
        "LOG_LEVEL": "ERROR",
    }
    if redis_url is not None:
        variables["REDIS_URL"] = redis_url
    with strongroom("serve", "hathor", environment=variables) as process:
        process.wait_ready()
        yield process, port


async def connect(port: int, wallets: list[str], told: asyncio.Queue[float]) -> list[asyncio.BaseTransport]:
    transports: list[asyncio.BaseTransport] = []
    for wallet_id in wallets:
        transport, client = await asyncio.get_running_loop().create_connection(
            partial(Client, wallet_id, told), "127.0.0.1", port
        )
        if not await client.joined:
            raise RuntimeError("the service refused a join")
        transports.append(transport)
    return transports


def insert_wallets(connection: Connection, names: list[str]) -> None:
    rows = [
        {"id": name, "xpubkey": XPUB, "auth_xpubkey": XPUB, "status": "ready", "created_at": 1}
        for name in names
    ]
    connection.execute(tables.wallet.insert(), rows)


async def measure(folder: Path, redis_url: str | None, process: Process, port: int) -> None:
    clock, told = SystemClock(), asyncio.Queue[float]()
    database, outbox = Database(sqlite_url(str(folder / "hathor.sqlite3"))), Outbox(clock)
    names = [f"{number:064x}" for number in range(IDLE)]
    await database.write(partial(insert_wallets, names=names))
    bus = Bus() if redis_url is None else RedisBus(Secret(redis_url), clock, SystemEntropy(), Health())
    carrying = asyncio.ensure_future(bus.run())
    before = memory_mib(process.pid)
    transports = await connect(port, [names[0]] * SUBSCRIBERS, told)
    payload = '{"type":"new-tx","filling":"' + "x" * MESSAGE_BYTES + '"}'
    last: list[float] = []
    rounds = ROUNDS if redis_url else ROUNDS_WITHOUT_REDIS
    for number in range(rounds):
        event = Event(stream=names[0], sequence=number, payload=payload)
        await database.write(partial(outbox.append, destination=DESTINATION, events=[event]))
        committed_s = time.perf_counter()
        bus.publish(DESTINATION)
        arrivals = [await told.get() for _ in range(SUBSCRIBERS)]
        last.append((max(arrivals) - committed_s) * 1000)
    last.sort()
    print(
        f"commit to the last of {SUBSCRIBERS:,} subscribers, {rounds} messages: p50 {statistics.median(last):.0f} ms,"
        f" p99 {last[int(rounds * 0.99)]:.0f} ms, most {last[-1]:.0f} ms",
        flush=True,
    )
    transports += await connect(port, names[SUBSCRIBERS:], told)
    after = memory_mib(process.pid)
    print(
        f"{len(transports):,} idle connections: {after - before:.0f} MiB more than {before:.0f} MiB,"
        f" {(after - before) * 1024 / len(transports):.1f} KiB each",
        flush=True,
    )
    for transport in transports:
        transport.close()
    carrying.cancel()
    await asyncio.gather(carrying, return_exceptions=True)
    await bus.close()
    await database.close()


def memory_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--without-redis", action="store_true")
    arguments = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.without_redis:
            with serving(folder, None) as (process, port):
                asyncio.run(measure(folder, None, process, port))
            return
        with running_redis() as redis, serving(folder, redis.url) as (process, port):
            asyncio.run(measure(folder, redis.url, process, port))


if __name__ == "__main__":
    main()
