"""The guarded write of the Atto ledger: lock, check, policy, sign, persist, commit; then publish and settle.

An order is put on its account's chain or refused. Until the commit nothing has happened and any failure is clean
(`Unavailable`: ask again). After it the signed block exists and its fate belongs to the resolver: a caller that
cannot wait longer gets `OutcomeUnknown` with the hash to ask for.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from weakref import WeakValueDictionary

from sqlalchemy import Connection

from strongroom.atto.following.node_clock import NodeClock
from strongroom.atto.following.node_network import NodeNetwork
from strongroom.atto.protocol import (
    MAX_FUTURE_MS,
    AccountEntry,
    AccountKeys,
    Address,
    Block,
    Network,
    ProtocolError,
    Transaction,
    is_work_valid,
    sign,
    validate_transaction,
)
from strongroom.atto.records import AccountRecord, WalletRecord, load_account, load_wallet
from strongroom.atto.transactions.resolver import Outcome, Resolver
from strongroom.atto.transactions.store import (
    BlockState,
    RejectionCause,
    SignedBlock,
    insert_signed,
    load_block,
)
from strongroom.atto.transactions.work_cache import WorkCache
from strongroom.atto.wallets.keyring import Keyring
from strongroom.core.clock import Clock
from strongroom.core.errors import Conflict, InvalidInput, NotFound, OutcomeUnknown, Unavailable
from strongroom.core.runtime.deadlines import Deadlines
from strongroom.core.runtime.idempotency import Attempt, Idempotency
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.security.access import Principal
from strongroom.core.security.policy import SignatureRequest, SigningGate
from strongroom.core.storage.database import Database

TIME_MARGIN_MS = 5_000
"""The node's clock is known within some seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What should become the next block of an account."""

    principal: Principal
    scope: str
    address: Address
    kind: str
    check: Callable[[Connection, AccountRecord], None]
    """Raises when the order does not fit the account as it now stands, or whatever else is stored."""
    build: Callable[[AccountRecord, int], Block]
    """Makes the block from the account and a timestamp in milliseconds that the order may raise."""
    amount_raw: int = 0
    destination: Address | None = None
    sender: bytes | None = None
    """Public key of who sent, for OPEN and RECEIVE."""
    attempt: Attempt | None = None
    """The idempotency key under which it was ordered."""

    def instead_of(self, lost: bytes) -> "Order":
        """The same order after its block lost its place to another."""
        if self.attempt is None:
            return self
        return replace(self, attempt=replace(self.attempt, replaces=lost.hex()))


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkNeeded:
    """What must be searched before the account's next block can be signed."""

    target: bytes
    timestamp_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Work that was searched for an order, and what for: the account may have moved meanwhile."""

    target: bytes
    work: bytes


@dataclass(slots=True)
class Signing:
    """A unit of work under way, which ends in a commit or not, whoever still waits for it."""

    block_hash: bytes | None = None
    """What it is about to commit."""

    def unknown(self) -> OutcomeUnknown:
        if self.block_hash is None:
            return OutcomeUnknown(
                "The database does not answer; whether the transaction was signed is not known"
            )
        shown = self.block_hash.hex().upper()
        return OutcomeUnknown(
            f"The database does not say whether transaction {shown} was stored. Once it answers, ask "
            f"GET /wallets/accounts/transactions/{shown}: if it is not there, nothing was signed. "
            "Or repeat the request with the same Idempotency-Key"
        )


@dataclass(slots=True)
class Progress:
    """How far an order has come, for whoever waits when the time is over."""

    signed: SignedBlock | None = None
    signing: Signing | None = None
    waits_for: SignedBlock | None = None
    """A block of the account whose fate must be known first."""

    def given_up(self) -> OutcomeUnknown | Unavailable:
        if self.signed is not None:
            return unknown_outcome(self.signed.transaction.hash)
        if self.signing is not None:
            return self.signing.unknown()
        if self.waits_for is not None:
            return held_by(self.waits_for)
        return Unavailable("Timed out before anything was signed; it is safe to try again")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A block of the account whose fate must be known first."""

    block: SignedBlock


class Submitter:
    """Puts orders on chains: one at a time on an account, accounts in parallel."""

    def __init__(
        self,
        *,
        database: Database,
        network: Network,
        clock: Clock,
        node_clock: NodeClock,
        node_network: NodeNetwork,
        work: WorkCache,
        keyring: Keyring,
        gate: SigningGate,
        idempotency: Idempotency,
        resolver: Resolver,
        metrics: Metrics,
        timeout_s: float,
    ) -> None:
        self._database = database
        self._network = network
        self._clock = clock
        self._node_clock = node_clock
        self._node_network = node_network
        self._work = work
        self._keyring = keyring
        self._gate = gate
        self._idempotency = idempotency
        self._resolver = resolver
        self._timeout_s = timeout_s
        self._signatures = metrics.signatures
        self._deadlines = Deadlines()
        self._locks: WeakValueDictionary[Address, asyncio.Lock] = WeakValueDictionary()

    async def submit(self, order: Order) -> AccountEntry | None:
        """Returns the entry of the confirmed block (None where only the node's history can tell it).

        Raises:
            NotFound, Conflict, InvalidInput, Locked, Forbidden: nothing was signed.
            Unavailable: its turn or the work did not come in time; nothing was signed.
            BlockRejected: the node refused the block for good.
            OutcomeUnknown: signed, and its fate is still open; or the database does not say whether it was.
        """
        progress = Progress()
        try:
            async with self._deadlines.limit(self._timeout_s), self._lock(order.address):
                while True:
                    signed = await self._sign_patiently(order, progress)
                    outcome = await asyncio.shield(self._resolver.resolve(signed))
                    if outcome.cause is not RejectionCause.SLOT_TAKEN:
                        return outcome.entry_or_raise()
                    # Surely not paid: the order is checked again, and built on what took its place.
                    progress.signed = None
                    order = order.instead_of(signed.transaction.hash)
        except TimeoutError:
            raise progress.given_up() from None

    async def _sign_patiently(self, order: Order, progress: Progress) -> SignedBlock:
        work: Work | None = None
        while True:
            await self._node_network.require()
            await self._node_clock.require_steady()
            progress.signing = Signing()
            step = await self._sign(order, work, progress.signing)
            progress.signing = None
            match step:
                case SignedBlock():
                    progress.signed = step
                    return step
                case Pending():
                    progress.waits_for = step.block
                    await asyncio.shield(self._resolver.resolve(step.block))
                    progress.waits_for = None
                case WorkNeeded():
                    found = await self._work.work_for(step.target, step.timestamp_ms)
                    work = Work(target=step.target, work=found)

    async def await_block(self, block_hash: bytes) -> Outcome | None:
        """Waits for the fate of a block of ours; None when there is no such block.

        Raises:
            OutcomeUnknown: it is still open when the time is over.
        """
        signed = await self._database.read(lambda connection: load_block(connection, block_hash))
        if signed is None:
            return None
        if signed.state is not BlockState.SIGNED:
            return Outcome(state=signed.state, reason=signed.reason, cause=signed.cause)
        try:
            async with self._deadlines.limit(self._timeout_s):
                return await asyncio.shield(self._resolver.resolve(signed))
        except TimeoutError:
            raise unknown_outcome(block_hash) from None

    def drain(self) -> None:
        """Answers whoever waits with what is known now: the process is about to stop."""
        self._deadlines.end()

    def _lock(self, address: Address) -> asyncio.Lock:
        lock = self._locks.get(address)
        if lock is None:
            lock = self._locks[address] = asyncio.Lock()
        return lock

    async def _sign(
        self, order: Order, work: Work | None, signing: Signing
    ) -> SignedBlock | Pending | WorkNeeded:
        """Checks, signs and persists in one transaction. Cancelled, it may commit all the same: `signing` knows.

        Returns what work it needs first instead, or the block in the way when there is one.
        """
        now_ms = self._node_clock.now_ms()

        def unit(connection: Connection) -> SignedBlock | Pending | WorkNeeded:
            signing.block_hash = None
            account = load_account(connection, order.address, self._network, lock=True)
            if (
                account.pending is not None
                and (pending := load_block(connection, account.pending)) is not None
            ):
                return Pending(block=pending)
            if order.attempt is not None:
                self._idempotency.require_current(connection, order.attempt)
            order.check(connection, account)
            wallet = _wallet_of(connection, account)
            keys = self._keyring.keys(connection, wallet)  # locked: say so before work is spent
            _require_own_key(keys, account)
            block = _build(order, account, now_ms)
            _require_in_time(block, now_ms)
            found = self._usable_work(account, block, work)
            if found is None:
                return WorkNeeded(target=block.work_target, timestamp_ms=block.timestamp)
            signed = self._sign_block(connection, order, account, keys, block, found)
            signing.block_hash = signed.transaction.hash
            return signed

        try:
            step = await self._database.write(unit)
        except OutcomeUnknown:
            raise signing.unknown() from None
        if isinstance(step, SignedBlock):
            self._signatures.labels("atto", order.kind).inc()
        return step

    def _usable_work(self, account: AccountRecord, block: Block, work: Work | None) -> bytes | None:
        """The work just searched, or the one prepared earlier, if it is for this account's next block."""
        for known, found in (
            (work.target, work.work) if work else (None, None),
            (account.work_target, account.work),
        ):
            is_for_it = known == block.work_target and found is not None
            if (
                is_for_it
                and found
                and is_work_valid(self._network, block.timestamp, block.work_target, found)
            ):
                return found
        return None

    def _sign_block(
        self,
        connection: Connection,
        order: Order,
        account: AccountRecord,
        keys: AccountKeys,
        block: Block,
        work: bytes,
    ) -> SignedBlock:
        def signer(message: bytes) -> bytes:
            return sign(keys.private_key(account.index), message)

        with self._gate.sign(connection, _signature_request(order, block), signer) as signature:
            transaction = Transaction(block=block, signature=signature, work=work)
            _require_valid(transaction, self._network)
            created_at_ms = self._clock.now_ms()
            insert_signed(connection, account, transaction, order.sender, created_at_ms)
            if order.attempt is not None:
                self._idempotency.refer(connection, order.attempt, block.hash.hex())
        return SignedBlock(
            transaction=transaction,
            sender=order.sender,
            state=BlockState.SIGNED,
            reason=None,
            created_at_ms=created_at_ms,
        )


def held_by(signed: SignedBlock) -> Unavailable:
    """The account may sign nothing else; the person who can act on it is told what to do."""
    block = signed.transaction.block
    return Unavailable(
        f"Timed out before anything was signed; it is safe to try again. Account {block.address.uri} waits for its "
        f"transaction {block.hash.hex().upper()} at height {block.height}, which the network has neither confirmed nor "
        "refused. If that lasts because the network was reset or the node restored, the operator puts it right with "
        "`strongroom atto reconcile`",
        code="account_held",
    )


def unknown_outcome(block_hash: bytes) -> OutcomeUnknown:
    shown = block_hash.hex().upper()
    return OutcomeUnknown(
        f"Transaction {shown} was submitted and is not confirmed yet. It is being resolved: "
        f"ask GET /wallets/accounts/transactions/{shown}, or repeat the request with the same Idempotency-Key"
    )


def _build(order: Order, account: AccountRecord, now_ms: int) -> Block:
    earliest_ms = account.state.timestamp_ms + 1 if account.state else 0
    try:
        return order.build(account, max(now_ms, earliest_ms))
    except ProtocolError as error:
        raise InvalidInput(str(error), code=error.code) from error


def _require_in_time(block: Block, now_ms: int) -> None:
    """An account whose last block is of the future waits for it: before, no node takes the next one."""
    ahead_ms = block.timestamp - now_ms
    if ahead_ms > MAX_FUTURE_MS - TIME_MARGIN_MS:
        wait_s = (ahead_ms - MAX_FUTURE_MS + TIME_MARGIN_MS) // 1000 + 1
        raise Unavailable(
            f"The next block of {block.address.uri} would be {ahead_ms // 1000} s ahead of the node's clock, because "
            f"what it follows is; nothing was signed, try again in {wait_s} s",
            code="ahead_of_time",
        )


def _require_valid(transaction: Transaction, network: Network) -> None:
    """The last look at what was just signed; nothing is stored unless a node may take it."""
    try:
        validate_transaction(transaction, network=network, now_ms=transaction.block.timestamp)
    except ProtocolError as error:
        raise Unavailable(f"The block would not be valid: {error}; nothing was signed") from error


def _signature_request(order: Order, block: Block) -> SignatureRequest:
    return SignatureRequest(
        principal=order.principal,
        scope=order.scope,
        account=order.address.path,
        kind=block.type.name,
        payload_hash=block.hash,
        amount_raw=order.amount_raw,
        destination=order.destination.path if order.destination else None,
    )


def _require_own_key(keys: AccountKeys, account: AccountRecord) -> None:
    if keys.public_key(account.index) != account.address.public_key:
        raise Conflict(
            f"Persisted account index {account.index} does not match wallet mnemonic", code="index_mismatch"
        )


def _wallet_of(connection: Connection, account: AccountRecord) -> WalletRecord:
    wallet = load_wallet(connection, account.wallet_name, hold=True)
    if wallet is None:
        raise NotFound(f"Wallet {account.wallet_name} does not exist", code="wallet_not_found")
    return wallet
