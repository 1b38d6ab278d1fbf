"""How long a change of the key-encryption key takes while wallets sign, against the stated limit of 30 s for 10,000 wallets.

    .venv/bin/python benchmarks/rotation.py [WALLETS]

It runs on SQLite and on a MariaDB of its own. Meanwhile as many tasks as a busy service has open wallets again and again, as a
signature does: in one transaction they hold the wallet's row, check its tag, open its key, and write an audit row. A wallet that does
not open at once counts as a failed signature, and none may fail.
"""

import asyncio
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.engine import URL

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from strongroom.atto.definition import REVISIONS
from strongroom.atto.records import load_wallet
from strongroom.atto.wallets.holdings import WALLETS, held_row
from strongroom.core.clock import SystemClock, SystemEntropy
from strongroom.core.errors import NotFound
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.audit import Audit
from strongroom.core.security.bindings import Bindings
from strongroom.core.security.custody.custody import Custody
from strongroom.core.security.keys.ring import TRAIL
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.vault import Vault
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.core.storage.migrations import migrate
from support.mariadb import running_mariadb
from support.sealed_rows import ATTO, KeyPlace, assert_all_open, fill, open_custody

COUNT = 10_000
SIGNERS = 8
LIMIT_S = 30.0
CLOCK = SystemClock()


class Signers:
    """What signs meanwhile, with the keys of a process of its own."""

    def __init__(self, custody: Custody, names: list[str]) -> None:
        self._custody = custody
        self._names = names
        self._bindings = Bindings(custody.ring, WALLETS)
        self._vault = Vault(custody.ring, SystemEntropy())
        self._audit = Audit(CLOCK, TrailKey(custody.ring.secret(TRAIL)))
        self.signed = 0
        self.slowest_s = 0.0

    async def run(self, number: int) -> None:
        while True:
            name = self._names[(number * 997 + self.signed * 31) % len(self._names)]
            started_s = time.monotonic()
            await self._custody.keeping.database.write(partial(self._sign, name=name))
            self.slowest_s = max(self.slowest_s, time.monotonic() - started_s)
            self.signed += 1

    async def follow(self) -> None:
        """As a served process does."""
        while True:
            await self._custody.look()
            await asyncio.sleep(0.4)

    def _sign(self, connection: Connection, name: str) -> None:
        wallet = load_wallet(connection, name, hold=True)
        if wallet is None:
            raise NotFound(name)
        self._bindings.require(connection, held_row(wallet))
        self._vault.open(wallet.sealed_key or b"")
        self._audit.append(connection, OPERATOR, "sign", name)


async def measure(url: URL, folder: Path, count: int) -> bool:
    kind = url.get_backend_name()
    databases = [Database(url) for _ in range(2)]
    await migrate(databases[0], [REVISIONS])
    place = KeyPlace(ledger=ATTO, folder=folder)
    served, operator = [await open_custody(place, database, CLOCK, SystemEntropy()) for database in databases]
    names = [f"wallet-{number}" for number in range(count)]
    await fill(served, ATTO, names, CLOCK)
    signers = Signers(served, names)
    tasks = [asyncio.create_task(signers.follow())]
    tasks += [asyncio.create_task(signers.run(number)) for number in range(SIGNERS)]
    await asyncio.sleep(2)
    before, started_s = signers.signed, time.monotonic()
    rotation = asyncio.create_task(operator.rotation().run(OPERATOR))
    await asyncio.wait([rotation, *tasks], return_when=asyncio.FIRST_COMPLETED)
    took_s = time.monotonic() - started_s
    failed = [str(task.exception()) for task in tasks if task.done()]
    done = await rotation
    signed = signers.signed - before
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    opened = await assert_all_open(served)
    print(
        f"{kind}: {done.rows} wallets in {took_s:.1f} s; meanwhile {signed} signatures ({signed / took_s:.0f} a second, the"
        f" slowest {signers.slowest_s * 1000:.0f} ms), {len(failed)} failed {failed or ''}"
    )
    for database in databases:
        await database.close()
    return not failed and done.rows == opened == count and took_s <= LIMIT_S * max(1, count / COUNT)


async def main(count: int) -> bool:
    good = True
    for kind in ("sqlite", "mariadb"):
        with tempfile.TemporaryDirectory() as folder:
            if kind == "sqlite":
                good &= await measure(sqlite_url(f"{folder}/rotation.sqlite3"), Path(folder), count)
                continue
            with running_mariadb() as server:
                good &= await measure(server.new_database(), Path(folder), count)
    return good


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else COUNT)) else 1)
