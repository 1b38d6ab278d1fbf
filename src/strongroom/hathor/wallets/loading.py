"""Loads wallets: it claims their addresses, from the first up to the gap after the last used one.

`extend` is one step, in the caller's transaction. A load repeats it until nothing is left to claim, and the sync takes a
step whenever a claimed address is used. A load that is interrupted goes on where it was.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import structlog
from sqlalchemy import Connection, func, select, update

from strongroom.core.clock import Clock
from strongroom.core.errors import NotFound, OutcomeUnknown, Unavailable
from strongroom.core.runtime.background import Background
from strongroom.core.runtime.fault_text import fault_text
from strongroom.core.runtime.telemetry import ComponentHealth, Status
from strongroom.core.storage.database import Database
from strongroom.core.storage.statements import Statement, arg, execute, listed, select_in, select_value
from strongroom.hathor import tables
from strongroom.hathor.index.wallets import ACCOUNT, adopt
from strongroom.hathor.index.writer_lock import lock_ledger
from strongroom.hathor.protocol.addresses import Network
from strongroom.hathor.protocol.keys import Xpub, address_chain
from strongroom.hathor.wallets.registry import CREATING, ERROR, READY

log = structlog.get_logger(__name__)

PARALLEL = 4
LOOK_S = 2.0
"""Seconds between two looks for wallets that other processes inserted."""
FAILED_KEPT = 1_000
STEP = 500
"""Addresses claimed in one transaction. The sync waits for the ledger's lock no longer than that takes."""
_wallet, _address = tables.wallet.c, tables.address.c
_IS_CREATING = _wallet.status == CREATING
NOT_READY = Statement(select(_wallet.id).where(listed(_wallet.id), _wallet.status != READY))
BEGUN = Statement(select(_wallet.id).where(_IS_CREATING))
KEYS = Statement(
    select(_wallet.xpubkey, _wallet.max_gap, _wallet.last_used_address_index).where(
        _wallet.id == arg("wallet_id")
    ),
    "wallet_id",
)
FINISH = Statement(
    update(tables.wallet)
    .where(_wallet.id == arg("wallet_id"), _IS_CREATING)
    .values(status=READY, ready_at=arg("ready_at")),
    "wallet_id",
    "ready_at",
)
FAIL = Statement(
    update(tables.wallet)
    .where(_wallet.id == arg("wallet_id"), _IS_CREATING)
    .values(status=ERROR, retry_count=_wallet.retry_count + 1),
    "wallet_id",
)
NOTE_USED = Statement(
    update(tables.wallet)
    .where(_wallet.id == arg("wallet_id"), _wallet.last_used_address_index < arg("index"))
    .values(last_used_address_index=arg("index")),
    "wallet_id",
    "index",
)
CLAIMED = Statement(
    select(func.max(_address.index)).where(
        _address.wallet_id == arg("wallet_id"), _address.bip32_account == ACCOUNT
    ),
    "wallet_id",
)
USED = Statement(select(_address.address).where(listed(_address.address), _address.transactions > 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the load of a wallet is: the highest index that it claimed, and the last one used."""

    claimed: int
    last_used: int
    complete: bool


chain_of = lru_cache(maxsize=1024)(address_chain)


class WalletLoader:
    """Loads wallets in status `creating`, several at a time.

    Two processes may load the same wallet: each step is a transaction of its own under the ledger's lock, so the two take
    turns and end in the same rows.
    """

    def __init__(self, database: Database, clock: Clock, network: Network, background: Background) -> None:
        self._database = database
        self._clock = clock
        self._network = network
        self._background = background
        self._slots = asyncio.Semaphore(PARALLEL)
        self._loads: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, str] = {}
        """Why the last load of a wallet failed here."""
        self.progress: dict[str, Progress] = {}
        """Of the wallets that this process loads."""

    async def look(self) -> None:
        """Begins to load the wallets that other processes left unloaded. One process calls this repeatedly."""
        for wallet_id in await creating_wallets(self._database):
            self.begin(wallet_id)

    async def recheck(self) -> None:
        """Forgets failures of wallets that were loaded elsewhere, or deleted."""
        failed = list(self._failed)
        rows = await self._database.read(lambda connection: list(select_in(connection, NOT_READY, failed)))
        open_ids = {row[0] for row in rows}
        for wallet_id in failed:
            if wallet_id not in open_ids:
                self._failed.pop(wallet_id, None)

    def check(self) -> ComponentHealth:
        """DEGRADED while the last loads of some wallets have failed."""
        if not self._failed:
            return ComponentHealth(status=Status.UP)
        detail = f"{len(self._failed)} wallets are not loaded: {next(reversed(self._failed.values()))}"
        return ComponentHealth(status=Status.DEGRADED, detail=detail)

    async def load(self, wallet_id: str, wait_s: float) -> None:
        """Loads a wallet; returns when the load ended, or after `wait_s`. A client that reads `creating` asks again."""
        if wait_s:
            await asyncio.wait([self.begin(wallet_id)], timeout=wait_s)

    def begin(self, wallet_id: str) -> asyncio.Task[None]:
        """Returns the load of this wallet, which begins unless it is under way.

        The task raises nothing: whether the load failed stands in the wallet's status.
        """
        if wallet_id not in self._loads:
            self._loads[wallet_id] = self._background.start(self._load(wallet_id))
        return self._loads[wallet_id]

    async def _load(self, wallet_id: str) -> None:
        def report(progress: Progress) -> None:
            self.progress[wallet_id] = progress

        report(Progress(claimed=-1, last_used=-1, complete=False))
        try:
            async with self._slots:
                await load_wallet(self._database, self._clock, self._network, wallet_id, report)
        except Exception as error:  # noqa: BLE001 - its status says so; the other wallets go on
            self._failed.pop(wallet_id, None)
            self._failed[wallet_id] = fault_text(error)
            while len(self._failed) > FAILED_KEPT:
                self._failed.pop(next(iter(self._failed)))
            log.warning("wallet not ready yet", wallet=wallet_id, why=self._failed[wallet_id])
        else:
            self._failed.pop(wallet_id, None)
        finally:
            del self.progress[wallet_id], self._loads[wallet_id]


async def load_wallet(
    database: Database,
    clock: Clock,
    network: Network,
    wallet_id: str,
    report: Callable[[Progress], None] = lambda _progress: None,
) -> None:
    """Brings a wallet from status `creating` to `ready`, or on failure to `error`, where it counts one more retry.

    Raises:
        Unavailable, OutcomeUnknown: the database is away; the wallet stays as it was.
    """
    started_s = clock.monotonic_s()

    def step(connection: Connection) -> Progress:
        lock_ledger(connection)
        progress = extend(connection, network, wallet_id, STEP)
        if progress.complete:
            execute(connection, FINISH, wallet_id, clock.now_ms() // 1000)
        return progress

    try:
        while True:
            progress = await database.write(step)
            report(progress)
            if progress.complete:
                took_s = round(clock.monotonic_s() - started_s, 2)
                log.info("wallet loaded", wallet=wallet_id, addresses=progress.claimed + 1, took_s=took_s)
                return
    except NotFound:
        log.info("wallet deleted while it was loaded", wallet=wallet_id)
    except (Unavailable, OutcomeUnknown):
        raise  # the database is away: the load goes on where it was
    except Exception:
        log.exception("wallet not loaded", wallet=wallet_id)
        await database.write(lambda connection: execute(connection, FAIL, wallet_id))
        raise


async def creating_wallets(database: Database) -> list[str]:
    """Returns the wallets whose load began and did not end."""
    return [row[0] for row in await database.read(lambda connection: execute(connection, BEGUN))]


def extend(connection: Connection, network: Network, wallet_id: str, most: int) -> Progress:
    """Claims at most `most` further addresses, as far as the gap after the last used one reaches.

    Raises:
        NotFound: there is no such wallet.
    """
    rows = execute(connection, KEYS, wallet_id)
    if not rows:
        raise NotFound("There is no such wallet")
    xpub, gap, last_used = rows[0]
    claimed = claimed_index(connection, wallet_id)
    if (
        claimed >= last_used + gap
    ):  # so it is in nearly every batch of the sync, and to derive addresses costs most
        return Progress(claimed=claimed, last_used=last_used, complete=True)
    indexes = _derive(chain_of(xpub), network, range(claimed + 1, claimed + 1 + most))
    used = _used(connection, indexes)
    taken: dict[str, int] = {}
    for address, index in indexes.items():
        if index > last_used + gap:
            break
        taken[address] = index
        if address in used:
            last_used = index
    if taken:
        adopt(connection, wallet_id, taken)
        claimed = max(taken.values())
    note_used(connection, wallet_id, last_used)
    return Progress(claimed=claimed, last_used=last_used, complete=claimed >= last_used + gap)


def note_used(connection: Connection, wallet_id: str, index: int) -> None:
    """Raises the last used index, which never goes back."""
    execute(connection, NOTE_USED, wallet_id, index)


def claimed_index(connection: Connection, wallet_id: str) -> int:
    """Returns the highest index that the wallet claimed, or -1."""
    highest = select_value(connection, CLAIMED, wallet_id)
    return -1 if highest is None else int(highest)


def _derive(chain: Xpub, network: Network, indexes: range) -> dict[str, int]:
    return {chain.child_address(index).encode(network): index for index in indexes}


def _used(connection: Connection, addresses: dict[str, int]) -> set[str]:
    return {row[0] for row in select_in(connection, USED, addresses)}
