"""How many signatures commit in a second over 16 connections, in one lane of the audit trail and in the lanes of a process.

    .venv/bin/python benchmarks/audit.py

A private MariaDB writes each commit to the disk before it answers, as in production (innodb_flush_log_at_trx_commit=1). Sixteen
accounts sign at the same time through `core.intents.signing.Signing`: guard, intent and audit row in one transaction. Both ways
take turns in one run, and what is compared are the medians. The limit is that lanes are five times as fast.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

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

CONNECTIONS = 16
SIGNATURES = 40
"""Of each account in a round."""
ROUNDS = 5
LIMIT = 5.0
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

    async def round(self, number: int) -> None:
        began = time.perf_counter()
        await asyncio.gather(*(self._account(f"{self.name}{number}.{one}") for one in range(CONNECTIONS)))
        self.rates.append(CONNECTIONS * SIGNATURES / (time.perf_counter() - began))

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
    for number in range(1, ROUNDS + 1):
        for way in ways:
            await way.round(number)
    rows = await verify(database, key)
    print(f"{rows} rows of the trail verified")
    for way in ways:
        await way.close()
    await database.close()
    return ways


def main() -> None:
    with running_mariadb(durable=True) as server:
        one, lanes = asyncio.run(compare(server.new_database()))
    medians = [statistics.median(way.rates) for way in (one, lanes)]
    for way, median in zip((one, lanes), medians, strict=True):
        rates = ", ".join(f"{rate:.0f}" for rate in way.rates)
        print(f"{way.name}: {median:.0f} signatures a second ({rates})")
    ratio = medians[1] / medians[0]
    print(f"lanes are {ratio:.1f} times as fast as one lane")
    if ratio < LIMIT:
        sys.exit(f"the limit is {LIMIT:g} times")


if __name__ == "__main__":
    main()
