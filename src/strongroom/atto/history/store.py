"""Stores the history entries of accounts: those of our own blocks directly, missing ones from the node.

An account's entries are stored without gaps up to `entry_height`. Entries that are missing up to its height (of an adopted
account, or a change by another wallet) are fetched from a historical node and checked one by one before they are stored.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Connection, Row, select, update

from strongroom.atto import tables
from strongroom.atto.gateway import HeightRange, InvalidNodeResponse, Node
from strongroom.atto.history.callbacks import Callbacks
from strongroom.atto.history.entries import insert_entries
from strongroom.atto.history.events import ENTRY, entry_event
from strongroom.atto.protocol import AccountEntry, AccountState, Address, BlockType, Network
from strongroom.atto.records import AccountRecord, account_record
from strongroom.core.announcements import Announcer
from strongroom.core.coordination.loops import Again, Incomplete
from strongroom.core.runtime.fault_text import fault_text
from strongroom.core.storage.database import Database

log = structlog.get_logger(__name__)

COMPONENT = "attoHistory"
POLL_S = 5.0
ACCOUNTS_AT_ONCE = 8
CHUNK = 500
SHOWN = 12
"""Health shows this many characters of an address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """An account whose stored history ends below its height."""

    account: AccountRecord
    state: AccountState


class History:
    """Stores entries and fills gaps. `wake` is called after a state was stored whose entries are missing."""

    def __init__(
        self,
        *,
        node: Node,
        database: Database,
        network: Network,
        callbacks: Callbacks,
        announcer: Announcer,
    ) -> None:
        self._node = node
        self._database = database
        self._network = network
        self._callbacks = callbacks
        self._announcer = announcer
        self.changed = asyncio.Event()

    def wake(self) -> None:
        self.changed.set()

    def store_and_announce(
        self, connection: Connection, wallet_name: str, entries: Sequence[AccountEntry]
    ) -> None:
        """Stores entries and queues what tells of them, in the caller's transaction."""
        insert_entries(connection, wallet_name, entries)
        self._announce(connection, wallet_name, entries)

    def _announce(self, connection: Connection, wallet_name: str, entries: Sequence[AccountEntry]) -> None:
        self._callbacks.announce(connection, entries)
        if entries and self._announcer.wants(connection, ENTRY):
            self._announcer.announce(connection, [entry_event(wallet_name, entry) for entry in entries])

    async def fill_gaps(self) -> Again | None:
        """Fills the gaps that there are. `changed` says that there may be more.

        Raises:
            Incomplete: some accounts have to wait.
        """
        gaps = await self._gaps()
        failed = await self.fill(gaps)
        if failed:
            address, why = next(iter(failed.items()))
            raise Incomplete(f"{len(failed)} accounts wait for their history, {address.path[:SHOWN]}…: {why}")
        return Again() if gaps else None

    async def fill(self, gaps: Iterable[Gap]) -> dict[Address, str]:
        """Fetches missing entries, accounts in parallel; returns the accounts that failed, with the reason."""
        slots = asyncio.Semaphore(ACCOUNTS_AT_ONCE)
        failed: dict[Address, str] = {}

        async def one(gap: Gap) -> None:
            async with slots:
                try:
                    await self._fill(gap)
                except Exception as error:  # noqa: BLE001 - one bad account must not stop the others
                    why = failed[gap.account.address] = fault_text(error)
                    log.warning("history not complete", address=gap.account.address.path, why=why)

        async with asyncio.TaskGroup() as group:
            for gap in gaps:
                group.create_task(one(gap))
        return failed

    async def complete(self, addresses: Sequence[Address], timeout_s: float) -> None:
        """Fills the gaps of these accounts now, as far as possible within the time."""
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
        balance = await self._database.read(partial(_balance_at, account=gap.account))
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
            if connection.execute(claim).rowcount:  # otherwise another process has stored them first
                insert_entries(connection, account.wallet_name, lines)
                untold = self._callbacks.untold(connection, account.address, lines)
                self._announce(connection, account.wallet_name, untold)

        await self._database.write(work)
        self._callbacks.entries_stored(account.address)

    async def _gaps(self) -> list[Gap]:
        columns = tables.chain.c
        query = select(tables.chain).where(columns.entry_height < columns.height)

        def work(connection: Connection) -> list[Gap]:
            found = [self._gap(row) for row in connection.execute(query)]
            return [gap for gap in found if gap is not None]

        return await self._database.read(work)

    def _gap(self, row: Row[Any]) -> Gap | None:
        """The account's gap; None if its stored row cannot be read."""
        try:
            account = account_record(row, self._network)
        except ValueError as error:
            log.error("an account cannot be read", address=row.address, why=fault_text(error))
            return None
        return None if account.state is None else Gap(account=account, state=account.state)


def _balance_at(connection: Connection, account: AccountRecord) -> int:
    if account.entry_height == 0:
        return 0
    columns = tables.entry.c
    query = select(columns.balance).where(
        columns.address == account.address.path, columns.height == account.entry_height
    )
    return int(connection.execute(query).scalar_one())


def _check(lines: Sequence[AccountEntry], span: HeightRange, balance: int, state: AccountState) -> None:
    """Raises InvalidNodeResponse unless the entries are complete, add up and end in the verified state."""
    if len(lines) != span.last - span.first + 1:
        raise InvalidNodeResponse(
            f"The node gave {len(lines)} of {span.last - span.first + 1} entries; is it historical?"
        )
    for height, line in enumerate(lines, span.first):
        if line.public_key != span.address.public_key or line.height != height:
            raise InvalidNodeResponse(f"The node gave another entry than the one at height {height}")
        if line.previous_balance != balance or not _moves_rightly(line):
            raise InvalidNodeResponse(f"The entry at height {height} does not add up")
        balance = line.balance
    if span.last == state.height and (lines[-1].hash, lines[-1].balance) != (state.frontier, state.balance):
        raise InvalidNodeResponse("The entries do not end in the account's last transaction")


def _moves_rightly(line: AccountEntry) -> bool:
    change = line.balance - line.previous_balance
    match line.block_type:
        case BlockType.SEND:
            return change < 0
        case BlockType.CHANGE:
            return change == 0
        case BlockType.OPEN | BlockType.RECEIVE:
            return change > 0
