"""How many signatures commit in a second over 16 connections, in one lane of the audit trail and in the lanes of a process.

    .venv/bin/python benchmarks/audit.py

A private MariaDB writes each commit to the disk before it answers, as in production (innodb_flush_log_at_trx_commit=1). Sixteen
accounts sign at the same time through `core.intents.signing.Signing`: guard, intent and audit row in one transaction, with uvloop, as
in the service. "One lane" is the trail of before there were lanes: one head, which every signature locks from its row to its commit. All
else is the same code. Both ways take turns in one run, and what is compared are the medians.

It is done on four servers, because the answer depends on how long the head stays locked, and on how many cores there are:

* Without a binary log InnoDB gives up the locks of a transaction before it waits for the disk. So one lane is not held up by the disk, only
  by three round trips, and many lanes are held up by the cores, which the server and the service share here.
* With a binary log (sync_binlog=1), as replicas need it and as MySQL 8 has it by default, the locks are held until two flushes are done.
* Each of the two with the disk as it is, and with one whose flush takes 2 ms longer, as on a usual disk behind a network. That is simulated: a
  library that `cc` makes of `slow_flushes.c` is preloaded into the server, where `fsync` and `fdatasync` sleep for so long after they are
  done. Nothing else is slowed: neither writes nor reads nor the network.

The limit is that lanes are five times as fast as one lane with a binary log on the slower disk.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import uvloop
from sqlalchemy import Connection
from sqlalchemy.engine import URL

from strongroom.core.clock import SystemClock
from strongroom.core.guard.guard import Default, Guard
from strongroom.core.intents.intent import Intent
from strongroom.core.intents.signing import Signed, Signing, Unsigned
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.policy import SignatureRequest, SigningGate
from strongroom.core.security.trail.lanes import Lanes
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import migrate
from strongroom.core.transparency.verification import verify
from support.mariadb import running_mariadb
from support.programs import program

CONNECTIONS = 16
SIGNATURES = 40
"""Of each account in a round."""
ROUNDS = 5
LIMIT = 5.0
FLUSH_MS = 2
BINARY_LOG = ("--log-bin", "--sync-binlog=1")
ASKED = SignatureRequest(
    principal=Principal(name="token:trader", scopes=frozenset({"*"})),
    scope="toy:send",
    account="",
    kind="SEND",
    payload_hash=bytes(32),
    wallet="hot",
    amount_raw=1,
    destination="shop",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A kind of server. `flush_ms`: so much longer a flush takes."""

    title: str
    options: Sequence[str] = ()
    flush_ms: int = 0

    def environment(self, library: Path) -> dict[str, str]:
        if not self.flush_ms:
            return {}
        return {"LD_PRELOAD": str(library), "FLUSH_DELAY_US": str(self.flush_ms * 1000)}


AIM = Server(title=f"binary log, {FLUSH_MS} ms more a flush", options=BINARY_LOG, flush_ms=FLUSH_MS)
SERVERS = (
    Server(title="no binary log"),
    Server(title=f"no binary log, {FLUSH_MS} ms more a flush", flush_ms=FLUSH_MS),
    Server(title="binary log", options=BINARY_LOG),
    AIM,
)


class Payment:
    """See `core.intents.signing.Draft`."""

    def __init__(self, name: str) -> None:
        self._id = name.encode().ljust(32, b"-")
        self._asked = replace(ASKED, account=name.split("/", maxsplit=1)[0], payload_hash=self._id)

    def prepare(self, connection: Connection) -> Unsigned:
        del connection
        return Unsigned(
            request=self._asked,
            slot=self._id,
            signer=lambda message: message,
            seal=lambda signature: Signed(id=self._id, payload=signature),
        )

    def on_signed(self, connection: Connection, intent: Intent) -> None:
        """Nothing more is stored."""


class Way:
    """One way to append, with connections of its own."""

    def __init__(self, name: str, url: URL, key: TrailKey, lanes: Lanes) -> None:
        self.name = name
        self._database = Database(url, pool_size=CONNECTIONS)
        clock = SystemClock()
        gate = SigningGate(Guard(clock, Default.ALLOW, key=key), Audit(clock, key, lanes))
        self._signing = Signing("toy", database=self._database, gate=gate, clock=clock, metrics=Metrics(name))
        self.rates: list[float] = []
        self.cpu_us: list[float] = []
        """Of the service's process, for each signature."""

    async def round(self, number: int) -> None:
        began, began_cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(self._account(f"{self.name}{number}.{one}") for one in range(CONNECTIONS)))
        self.rates.append(CONNECTIONS * SIGNATURES / (time.perf_counter() - began))
        self.cpu_us.append((time.process_time() - began_cpu) * 1e6 / (CONNECTIONS * SIGNATURES))

    def report(self) -> str:
        rates = ", ".join(f"{rate:.0f}" for rate in self.rates)
        cpu_us = statistics.median(self.cpu_us)
        return f"{self.name}: {statistics.median(self.rates):.0f} signatures a second ({rates}), {cpu_us:.0f} us of the service's CPU each"

    async def _account(self, name: str) -> None:
        for number in range(SIGNATURES):
            await self._signing.sign(Payment(f"{name}/{number}"))

    async def close(self) -> None:
        await self._database.close()


async def compare(url: URL) -> Sequence[Way]:
    key = TrailKey(bytes(range(32)))
    database = Database(url)
    await migrate(database, [])
    ways = [
        Way("one", url, key, Lanes(slots=1, width=1)),
        Way("lanes", url, key, Lanes()),
    ]
    for way in ways:
        await way.round(0)  # opens the connections
        way.rates.clear()
        way.cpu_us.clear()
    for number in range(1, ROUNDS + 1):
        for way in ways:
            await way.round(number)
    rows = await verify(database, key)
    print(f"  {rows} rows of the trail verified")
    for way in ways:
        await way.close()
    await database.close()
    return ways


def slow_flushes(folder: Path) -> Path:
    library = folder / "slow_flushes.so"
    source = Path(__file__).with_name("slow_flushes.c")
    subprocess.run([program("cc"), "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


def measure(server: Server, library: Path) -> float:
    """How many times as fast lanes are."""
    print(server.title)
    with running_mariadb(
        durable=True, options=server.options, environment=server.environment(library)
    ) as mariadb:
        one, lanes = uvloop.run(compare(mariadb.new_database()))
    for way in (one, lanes):
        print(f"  {way.report()}")
    ratio = statistics.median(lanes.rates) / statistics.median(one.rates)
    print(f"  lanes are {ratio:.1f} times as fast as one lane")
    return ratio


def main() -> None:
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        library = slow_flushes(Path(folder))
        ratios = {server: measure(server, library) for server in SERVERS}
    if ratios[AIM] < LIMIT:
        sys.exit(f"the limit is {LIMIT:g} times, with: {AIM.title}")


if __name__ == "__main__":
    main()
