"""The service's own store of entries: written with our blocks, completed from the node, read by pages.

An account's entries are stored without gaps up to `entry_height`. What is missing up to its height (an adopted
account, a change made elsewhere) is fetched from a historical node and checked line by line before it counts.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection, select, update

from strongroom.atto import tables
from strongroom.atto.blocks import insert_entries
from strongroom.atto.callbacks import Callbacks
from strongroom.atto.gateway import HeightRange, Node, NodeDishonest
from strongroom.atto.protocol import AccountEntry, AccountState, Address, BlockType, Network
from strongroom.atto.records import AccountRecord, account_record
from strongroom.core.backoff import Backoff
from strongroom.core.clock import Clock, Entropy
from strongroom.core.database import Database
from strongroom.core.errors import StrongroomError
from strongroom.core.telemetry import Health, Status

log = structlog.get_logger(__name__)

COMPONENT = "attoHistory"
POLL_S = 5.0
ACCOUNTS_AT_ONCE = 8
CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """An account whose store ends below its height; `balance` is the last stored one."""

    account: AccountRecord
    state: AccountState
    balance: int


class History:
    """Fills gaps. `wake` after a change that was not stored line by line."""

    def __init__(
        self,
        *,
        node: Node,
        database: Database,
        network: Network,
        callbacks: Callbacks,
        clock: Clock,
        entropy: Entropy,
        health: Health,
    ) -> None:
        self._node = node
        self._database = database
        self._network = network
        self._callbacks = callbacks
        self._clock = clock
        self._entropy = entropy
        self._health = health
        self._wake = asyncio.Event()
        health.report(COMPONENT, Status.UP)

    def wake(self) -> None:
        self._wake.set()

    def write_entries(
        self, connection: Connection, wallet_name: str, entries: Sequence[AccountEntry]
    ) -> None:
        """Stores entries and their callbacks in the caller's transaction."""
        insert_entries(connection, wallet_name, entries)
        self._callbacks.announce(connection, entries)

    async def run(self) -> None:
        """Fills gaps as they appear, until cancelled."""
        backoff = Backoff(self._clock, self._entropy, first_s=0.5, cap_s=30.0)
        while True:
            self._wake.clear()
            gaps = await self._gaps()
            failed = await self.fill(gaps)
            if failed:
                self._health.report(
                    COMPONENT, Status.DEGRADED, f"{len(failed)} accounts wait for their history"
                )
                await backoff.wait()
                continue
            self._health.report(COMPONENT, Status.UP)
            backoff.reset()
            if not gaps:
                await self._sleep()

    async def fill(self, gaps: Iterable[Gap]) -> list[Address]:
        """Fetches what is missing, accounts in parallel; returns those for which it did not work."""
        slots = asyncio.Semaphore(ACCOUNTS_AT_ONCE)
        failed: list[Address] = []

        async def one(gap: Gap) -> None:
            async with slots:
                try:
                    await self._fill(gap)
                except StrongroomError as error:
                    failed.append(gap.account.address)
                    log.warning("history not complete", address=gap.account.address.path, why=error.message)

        async with asyncio.TaskGroup() as group:
            for gap in gaps:
                group.create_task(one(gap))
        return failed

    async def complete(self, addresses: Sequence[Address], timeout_s: float) -> None:
        """Fills the gaps of these accounts now, as far as the node lets us in time."""
        paths = {address.path for address in addresses}
        gaps = [gap for gap in await self._gaps() if gap.account.address.path in paths]
        if gaps:
            try:
                async with asyncio.timeout(timeout_s):
                    await self.fill(gaps)
            except TimeoutError:
                log.warning("history not complete in time", accounts=len(gaps))

    async def _fill(self, gap: Gap) -> None:
        address, state = gap.account.address, gap.state
        first = gap.account.entry_height + 1
        balance = gap.balance
        while first <= state.height:
            last = min(first + CHUNK - 1, state.height)
            span = HeightRange(address=address, first=first, last=last)
            lines = [line async for line in self._node.entries([span])]
            _check(lines, span, balance, state)
            await self._store(gap.account, lines)
            first, balance = last + 1, lines[-1].balance

    async def _store(self, account: AccountRecord, lines: Sequence[AccountEntry]) -> None:
        columns = tables.chain.c
        claim = (
            update(tables.chain)
            .where(columns.address == account.address.path, columns.entry_height == lines[0].height - 1)
            .values(entry_height=lines[-1].height)
        )

        def work(connection: Connection) -> None:
            if connection.execute(claim).rowcount:  # else another filler was quicker
                insert_entries(connection, account.wallet_name, lines)
                self._callbacks.announce_missed(connection, account.address, lines)

        await self._database.write(work)
        self._callbacks.committed(account.address)

    async def _gaps(self) -> list[Gap]:
        columns = tables.chain.c
        query = select(tables.chain).where(columns.entry_height < columns.height)

        def work(connection: Connection) -> list[Gap]:
            accounts = [account_record(row, self._network) for row in connection.execute(query)]
            return [
                Gap(account=account, state=account.state, balance=_balance_at(connection, account))
                for account in accounts
                if account.state is not None
            ]

        return await self._database.read(work)

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(POLL_S):
                await self._wake.wait()
        except TimeoutError:
            return


def _balance_at(connection: Connection, account: AccountRecord) -> int:
    if account.entry_height == 0:
        return 0
    columns = tables.entry.c
    query = select(columns.balance).where(
        columns.address == account.address.path, columns.height == account.entry_height
    )
    return int(connection.execute(query).scalar_one())


def _check(lines: Sequence[AccountEntry], span: HeightRange, balance: int, state: AccountState) -> None:
    """Raises NodeDishonest unless the lines are complete, add up and end in the verified state."""
    if len(lines) != span.last - span.first + 1:
        raise NodeDishonest(
            f"The node gave {len(lines)} of {span.last - span.first + 1} entries; is it historical?"
        )
    for height, line in enumerate(lines, span.first):
        if line.public_key != span.address.public_key or line.height != height:
            raise NodeDishonest(f"The node gave another entry than the one at height {height}")
        if line.previous_balance != balance or not _moves_rightly(line):
            raise NodeDishonest(f"The entry at height {height} does not add up")
        balance = line.balance
    if span.last == state.height and (lines[-1].hash, lines[-1].balance) != (state.frontier, state.balance):
        raise NodeDishonest("The entries do not end in the account's last transaction")


def _moves_rightly(line: AccountEntry) -> bool:
    change = line.balance - line.previous_balance
    match line.block_type:
        case BlockType.SEND:
            return change < 0
        case BlockType.CHANGE:
            return change == 0
        case BlockType.OPEN | BlockType.RECEIVE:
            return change > 0
