"""Wallets of Atto and keys of Bittensor as their services seal them, made many at once, and what opens them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.engine import URL

from strongroom.atto import tables as atto_tables
from strongroom.atto.wallets.holdings import WalletHoldings
from strongroom.bittensor import tables as bittensor_tables
from strongroom.bittensor.keystore.holdings import KeyHoldings
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.core.clock import Clock, Entropy
from strongroom.core.environment import Secret
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.audit import Audit
from strongroom.core.security.bindings import Bindings
from strongroom.core.security.custody.custody import Custody
from strongroom.core.security.custody.keeping import Keeping
from strongroom.core.security.holdings import Holdings, bind_holdings
from strongroom.core.security.keys.ring import TRAIL
from strongroom.core.security.keys.source import KeySource
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.vault import Vault
from strongroom.core.storage.database import Database
from support.clock import ManualClock, SeededEntropy


@dataclass(frozen=True, slots=True, kw_only=True)
class SealingLedger:
    """A ledger that seals."""

    name: str
    holdings: Holdings
    insert: Callable[[Connection, str, Vault, bytes], None]
    """Makes the row of this name; the bytes are 32 of its secret."""

    def __str__(self) -> str:
        return self.name


def _insert_wallet(connection: Connection, name: str, vault: Vault, secret: bytes) -> None:
    row = {
        "name": name,
        "version": 0,
        "encrypted_entropy": vault.seal_under(secret, secret + bytes([sum(secret) % 256])),
        "encrypted_encryption_key": vault.seal(secret),
    }
    connection.execute(atto_tables.wallet.insert(), row)


def _insert_key(connection: Connection, name: str, vault: Vault, secret: bytes) -> None:
    pair = Keypair.from_seed(secret)
    row = {
        "wallet": name.partition("/")[0],
        "kind": "hotkey",
        "name": name.partition("/")[2],
        "public_key": pair.public_key,
        "sealed_secret": vault.seal(pair.secret()),
        "created_at_ms": 0,
    }
    connection.execute(bittensor_tables.key.insert(), row)


ATTO = SealingLedger(name="atto", holdings=WalletHoldings(), insert=_insert_wallet)
BITTENSOR = SealingLedger(name="bittensor", holdings=KeyHoldings(), insert=_insert_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPlace:
    """Where a ledger's keys are: in a folder, or given as text."""

    ledger: SealingLedger
    folder: Path

    def source(self, given: str | None = None, following: str | None = None) -> KeySource:
        file = self.folder / f"{self.ledger.name}.kek"
        variable = f"{self.ledger.name.upper()}_KEY"
        return KeySource(
            ledger=self.ledger.name,
            variable=variable,
            origin=str(file) if given is None else variable,
            given=None if given is None else Secret(given),
            file=file,
            next_given=None if following is None else Secret(following),
            next_origin=f"{variable}_NEXT",
        )


async def open_custody(
    place: KeyPlace, database: Database, clock: Clock, entropy: Entropy, source: KeySource | None = None
) -> Custody:
    """The keys of a process that has just started."""
    keeping = Keeping(
        source=source or place.source(),
        holdings=place.ledger.holdings,
        database=database,
        clock=clock,
        entropy=entropy,
    )
    trail_key = TrailKey()
    audit = Audit(clock, trail_key)
    custody = Custody(keeping, audit, trail_key, entropy.token(8).hex())
    await custody.open()
    await bind_holdings(database, keeping.holdings, custody.ring, audit)
    return custody


async def fill(custody: Custody, ledger: SealingLedger, names: Sequence[str], clock: Clock) -> None:
    """Makes sealed rows of these names."""
    keeping = custody.keeping
    vault = Vault(custody.ring, keeping.entropy)
    bindings = Bindings(custody.ring, keeping.holdings.kind)
    audit = Audit(clock, TrailKey(custody.ring.secret(TRAIL)))

    def work(connection: Connection, some: Sequence[str]) -> None:
        for name in some:
            ledger.insert(connection, name, vault, keeping.entropy.token(32))
        sequence = audit.append(connection, OPERATOR, "test.fill", "many")
        bindings.bind(connection, keeping.holdings.rows(connection, names=some), sequence)

    for start in range(0, len(names), 500):
        await keeping.database.write(partial(work, some=names[start : start + 500]))


async def assert_all_open(custody: Custody) -> int:
    """Every row opens with the keys of this process, and is as the service wrote it; returns how many there are."""
    keeping = custody.keeping
    bindings = Bindings(custody.ring, keeping.holdings.kind)

    def work(connection: Connection) -> int:
        rows = keeping.holdings.rows(connection)
        assert bindings.problems(connection, rows) == {}
        for row in rows:
            if keeping.holdings.is_sealed(row):
                assert keeping.holdings.opens(custody.ring, row), row.name
        return len(rows)

    return await keeping.database.read(work)


class ImpatientClock(ManualClock):
    """Whoever sleeps has slept at once; the time of day stands still, so that no process counts as gone."""

    def __init__(self) -> None:
        super().__init__()
        self.slept_s = 0.0

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.slept_s

    async def sleep(self, seconds: float) -> None:
        self.slept_s += seconds
        await asyncio.sleep(0)


class Estate:
    """A ledger's database and key place, and processes that use them."""

    def __init__(self, url: URL, place: KeyPlace, clock: ManualClock) -> None:
        self.url = url
        self.place = place
        self.clock = clock
        self.entropy: Entropy = SeededEntropy()
        self.databases: list[Database] = []

    async def start(self, source: KeySource | None = None, database: Database | None = None) -> Custody:
        database = database or Database(self.url)
        self.databases.append(database)
        return await open_custody(self.place, database, self.clock, self.entropy, source)

    async def close(self) -> None:
        for database in self.databases:
            await database.close()
