"""Automatic receive: signs and publishes a RECEIVE (or OPEN) for each receivable of our accounts.

The receiver works for enabled accounts of unlocked wallets, many accounts in parallel. A receivable that fails is tried again with
growing pauses and never delays another one. `arrivals` stores what the node's stream shows.
"""

import asyncio
import contextlib
from collections.abc import Container, Sequence
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Connection, Row, delete, false, select, update

from strongroom.atto import tables
from strongroom.atto.gateway import InvalidNodeResponse, Node
from strongroom.atto.gateway.proof import require_signature
from strongroom.atto.protocol import (
    Address,
    Block,
    Network,
    Receivable,
    SendBlock,
    open_block,
    receive_block,
)
from strongroom.atto.receiving.arrivals import Arrivals, ReceivingRules
from strongroom.atto.receiving.troubles import Troubles
from strongroom.atto.records import AccountRecord
from strongroom.atto.transactions.blocks import BlockRejected, RejectionCause
from strongroom.atto.transactions.drafting import BlockRequest
from strongroom.atto.transactions.submitter import Submitter
from strongroom.core.chunks import chunks
from strongroom.core.coordination.loops import LoopContext
from strongroom.core.errors import Conflict, Locked, Unavailable
from strongroom.core.runtime.background import cancel_all
from strongroom.core.runtime.fault_text import fault_text
from strongroom.core.runtime.telemetry import ComponentHealth, Metrics, Status
from strongroom.core.security.access import system_principal
from strongroom.core.storage.database import Database

log = structlog.get_logger(__name__)

PRINCIPAL = system_principal("atto-receiver")
SCOPE = "atto:receive"
ACCOUNTS_AT_ONCE = 64
WALLETS_AT_ONCE = 500
POLL_S = 5.0
SHOWN = 12
"""Health shows this many characters of an address: enough to find it in the log, too few to reveal it."""


class AlreadyReceived(Conflict):
    """Another block has received the receivable."""


class Receiver:
    """Receives for our accounts what `Arrivals` stored; see `run`.

    Each account has one task at a time (`_busy`), `ACCOUNTS_AT_ONCE` of them work at once (`_slots`). A receivable that failed has
    its next try in `_troubles`, an account whose task failed its reason in `_failing`; both are forgotten when another process takes
    over. What must not be lost is in the database: the stored receivables, and why the last try of one failed.
    """

    def __init__(
        self,
        *,
        node: Node,
        database: Database,
        arrivals: Arrivals,
        submitter: Submitter,
        troubles: Troubles,
        rules: ReceivingRules,
        metrics: Metrics,
    ) -> None:
        self._node = node
        self._database = database
        self._arrivals = arrivals
        self._submitter = submitter
        self._rules = rules
        self._troubles = troubles
        self._slots = asyncio.Semaphore(ACCOUNTS_AT_ONCE)
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._failing: dict[str, str] = {}
        """Accounts whose task failed the last time, by path, with the reason."""
        self._received = metrics.counter(
            "strongroom_atto_received", "Automatic receives by result.", ("result",)
        )

    def wake(self) -> None:
        """Makes `run` look again: a receivable arrived, a wallet was unlocked or an account was enabled."""
        self._arrivals.changed.set()

    async def run(self, context: LoopContext) -> None:
        """Receives until cancelled. It runs under a lease, so that replicas do not compete for the same receivables."""
        try:
            while True:
                self._arrivals.changed.clear()
                ready = await self._database.read(self._accounts_to_receive)
                self._forget_troubles(frozenset(ready))
                for path in ready:
                    if path not in self._busy:
                        task = asyncio.ensure_future(self._receive_account(path))
                        self._busy[path] = task
                        task.add_done_callback(partial(self._ended, path))
                context.health.succeeded()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._arrivals.changed.wait()
        finally:
            await cancel_all(self._busy.values())

    def _ended(self, path: str, _task: asyncio.Task[None]) -> None:
        self._busy.pop(path, None)

    def rest(self) -> None:
        """Forgets the failures, because another process receives now and tries again."""
        self._troubles.clear()
        self._failing.clear()

    def deposits(self) -> ComponentHealth:
        """Health: DEGRADED while the last try of some deposit has failed."""
        reasons = [*self._troubles.reasons(), *self._failing.items(), *self._arrivals.refused.items()]
        if not reasons:
            return ComponentHealth(status=Status.UP)
        path, why = reasons[-1]
        detail = f"{len(reasons)} deposits are not received yet, of {path[:SHOWN]}…: {why}"
        return ComponentHealth(status=Status.DEGRADED, detail=detail)

    async def _receive_account(self, path: str) -> None:
        """Receives for one account; a failure stays with this account."""
        try:
            await self._receive_all(Address.parse(path))
        except Exception as error:  # noqa: BLE001 - `run` tries the account again
            self._failing[path] = fault_text(error)
            log.warning("an account does not receive", address=path, why=self._failing[path])
        else:
            self._failing.pop(path, None)

    def _accounts_to_receive(self, connection: Connection) -> Sequence[str]:
        """The paths of the accounts that have a receivable and may receive now.

        It looks only at the wallets of these accounts, for there may be very many others.
        """
        query = (
            select(tables.receivable.c.address, tables.chain.c.wallet_name)
            .distinct()
            .join(tables.chain, tables.chain.c.address == tables.receivable.c.address)
            .where(tables.chain.c.disabled == false())
        )
        waiting = connection.execute(query).all()
        wallet = tables.wallet.c
        unlocked: set[str] = set()
        for names in chunks(sorted({row.wallet_name for row in waiting}), WALLETS_AT_ONCE):
            open_ones = select(wallet.name).where(
                wallet.name.in_(names), wallet.encrypted_encryption_key.is_not(None)
            )
            unlocked.update(connection.execute(open_ones).scalars())
        return [row.address for row in waiting if row.wallet_name in unlocked]

    async def _receive_all(self, address: Address) -> None:
        """Receives everything for one account, oldest first; skips a receivable whose next try is not due yet."""
        while True:
            rows = await self._database.fetch_all(_pending_of(address))
            self._troubles.keep_of(address.path, frozenset(row.hash for row in rows))
            ready = [row for row in rows if self._troubles.is_ready(row.hash)]
            if not ready:
                return
            for row in ready:
                async with self._slots:
                    if not await self._receive(_receivable(row, address, self._rules.network)):
                        return  # the wallet was locked or the account disabled; the receivable stays stored

    def _forget_troubles(self, ready: Container[str]) -> None:
        """Forgets the failures of accounts that have nothing to receive any more, or may not receive now."""
        self._troubles.keep_accounts(ready)
        self._failing = {path: why for path, why in self._failing.items() if path in ready}

    async def _receive(self, receivable: Receivable) -> bool:
        """Receives one receivable or notes why it failed; returns False when the account may not receive now."""
        try:
            await self._verify(receivable)
            await self._submitter.submit(self._request(receivable))
        except Locked:
            return False
        except AlreadyReceived:
            self._mark_received(receivable)
        except BlockRejected as error:
            self._received.labels("rejected").inc()
            if error.cause is RejectionCause.RECEIVABLE_NOT_FOUND:
                await self._forget(
                    receivable
                )  # if the node is only behind, its stream sends the receivable again
            else:
                await self._postpone(receivable, error)
        except Exception as error:  # noqa: BLE001 - one bad receivable must not delay the next one
            self._received.labels("failed").inc()
            await self._postpone(receivable, error)
        else:
            self._mark_received(receivable)
            self._received.labels("received").inc()
        return True

    def _mark_received(self, receivable: Receivable) -> None:
        """Updates the memory only; the transaction that stored the block's outcome deleted the row."""
        self._troubles.end(receivable.hash)
        self._arrivals.received(receivable.hash)

    async def _verify(self, receivable: Receivable) -> None:
        """Makes sure that the send exists, that its sender signed it, and that it matches the receivable.

        Without this check, a false receivable would make us sign a block that the network refuses, or a wrong balance.
        """
        transaction = await self._node.transaction(receivable.hash)
        if transaction is None:
            raise Unavailable("The node does not have the transaction of the receivable")
        block = transaction.block
        claimed = (
            receivable.network,
            receivable.sender_public_key,
            receivable.receiver_public_key,
            receivable.amount,
            receivable.timestamp_ms,
        )
        if not isinstance(block, SendBlock) or claimed != (
            block.network,
            block.public_key,
            block.receiver_public_key,
            block.amount,
            block.timestamp,
        ):
            raise InvalidNodeResponse("The receivable is not what its transaction says")
        require_signature(transaction, "the transaction of the receivable")

    def _request(self, receivable: Receivable) -> BlockRequest:
        address = Address(public_key=receivable.receiver_public_key)
        representative = (self._rules.default_representative or address).public_key

        def check(connection: Connection, account: AccountRecord) -> None:
            _require_enabled(account)
            _require_stored(connection, receivable)

        def build(account: AccountRecord, timestamp_ms: int) -> Block:
            # The ledger requires that a receive is later than its send.
            moment_ms = max(timestamp_ms, receivable.timestamp_ms + 1)
            if account.state is None:
                return open_block(receivable, representative, moment_ms)
            return receive_block(account.state, receivable, moment_ms)

        return BlockRequest(
            principal=PRINCIPAL,
            scope=SCOPE,
            address=address,
            check=check,
            build=build,
            sender=receivable.sender_public_key,
        )

    async def _postpone(self, receivable: Receivable, error: Exception) -> None:
        why = fault_text(error)
        self._troubles.note(receivable.hash, Address(public_key=receivable.receiver_public_key).path, why)
        log.warning("not received yet", hash=receivable.hash.hex().upper(), why=why)
        columns = tables.receivable.c
        statement = update(tables.receivable).where(columns.hash == receivable.hash).values(problem=why)
        await self._database.write(lambda connection: connection.execute(statement))

    async def _forget(self, receivable: Receivable) -> None:
        self._troubles.end(receivable.hash)
        statement = delete(tables.receivable).where(tables.receivable.c.hash == receivable.hash)
        await self._database.write(lambda connection: connection.execute(statement))


def _require_enabled(account: AccountRecord) -> None:
    if account.disabled:
        raise Locked(f"Account {account.address.uri} is disabled", code="account_disabled")


def _require_stored(connection: Connection, receivable: Receivable) -> None:
    """Raises AlreadyReceived when an earlier block, whose outcome was stored just now, has received it."""
    query = select(tables.receivable.c.hash).where(tables.receivable.c.hash == receivable.hash)
    if connection.execute(query).first() is None:
        raise AlreadyReceived("It was received by another block", code="already_received")


def _pending_of(address: Address) -> Any:
    columns = tables.receivable.c
    return select(tables.receivable).where(columns.address == address.path).order_by(columns.timestamp_ms)


def _receivable(row: Row[Any], address: Address, network: Network) -> Receivable:
    return Receivable(
        network=network,
        hash=row.hash,
        version=row.version,
        sender_public_key=row.sender,
        timestamp_ms=row.timestamp_ms,
        receiver_public_key=address.public_key,
        amount=row.amount,
    )
