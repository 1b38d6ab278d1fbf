"""The guarded write of the Atto ledger: lock, check, policy, sign, persist, commit; then publish and settle.

An order is put on its account's chain or refused. Until the commit nothing has happened and any failure is clean
(`Unavailable`: ask again). After it the signed block exists and its fate belongs to the resolver: a caller that
cannot wait longer gets `OutcomeUnknown` with the hash to ask for.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakValueDictionary

from sqlalchemy import Connection

from strongroom.atto.blocks import BlockState, SignedBlock, insert_signed, load_block
from strongroom.atto.keyring import Keyring
from strongroom.atto.node_clock import NodeClock
from strongroom.atto.protocol import (
    AccountEntry,
    AccountKeys,
    Address,
    Block,
    Network,
    ProtocolError,
    Transaction,
    sign,
    validate_transaction,
)
from strongroom.atto.records import AccountRecord, WalletRecord, load_account, load_wallet
from strongroom.atto.resolver import Outcome, Resolver
from strongroom.atto.work import WorkDesk
from strongroom.core.access import Principal
from strongroom.core.clock import Clock
from strongroom.core.database import Database
from strongroom.core.errors import InvalidInput, LedgerRejected, NotFound, OutcomeUnknown, Unavailable
from strongroom.core.idempotency import Attempt, Idempotency
from strongroom.core.limits import Limits
from strongroom.core.policy import SignatureRequest, SigningGate
from strongroom.core.telemetry import Metrics


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
        work: WorkDesk,
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
        self._work = work
        self._keyring = keyring
        self._gate = gate
        self._idempotency = idempotency
        self._resolver = resolver
        self._timeout_s = timeout_s
        self._signatures = metrics.signatures
        self._limits = Limits()
        self._locks: WeakValueDictionary[Address, asyncio.Lock] = WeakValueDictionary()

    async def submit(self, order: Order) -> AccountEntry | None:
        """Returns the entry of the confirmed block (None where only the node's history can tell it).

        Raises:
            NotFound, Conflict, InvalidInput, Locked, Forbidden: nothing was signed.
            Unavailable: its turn or the work did not come in time; nothing was signed.
            LedgerRejected: the node refused the block for good.
            OutcomeUnknown: signed, and its fate is still open; or the database does not say whether it was.
        """
        signed: SignedBlock | None = None
        signing: Signing | None = None
        try:
            async with self._limits.limit(self._timeout_s), self._lock(order.address):
                work: Work | None = None
                while signed is None:
                    signing = Signing()
                    step = await self._sign(order, work, signing)
                    signing = None
                    match step:
                        case SignedBlock():
                            signed = step
                        case Pending():
                            await asyncio.shield(self._resolver.resolve(step.block))
                        case AccountRecord():
                            work = Work(target=step.next_work_target, work=await self._work.work_for(step))
                outcome = await asyncio.shield(self._resolver.resolve(signed))
        except TimeoutError:
            if signed is not None:
                raise unknown_outcome(signed.transaction.hash) from None
            if signing is not None:
                raise signing.unknown() from None
            raise Unavailable("Timed out before anything was signed; it is safe to try again") from None
        return entry_or_raise(outcome)

    async def await_block(self, block_hash: bytes) -> Outcome | None:
        """Waits for the fate of a block of ours; None when there is no such block.

        Raises:
            OutcomeUnknown: it is still open when the time is over.
        """
        signed = await self._database.read(lambda connection: load_block(connection, block_hash))
        if signed is None:
            return None
        if signed.state is not BlockState.SIGNED:
            return Outcome(state=signed.state, reason=signed.reason)
        try:
            async with self._limits.limit(self._timeout_s):
                return await asyncio.shield(self._resolver.resolve(signed))
        except TimeoutError:
            raise unknown_outcome(block_hash) from None

    def wind_down(self) -> None:
        """Answers whoever waits with what is known now: the process is about to stop."""
        self._limits.end()

    def _lock(self, address: Address) -> asyncio.Lock:
        lock = self._locks.get(address)
        if lock is None:
            lock = self._locks[address] = asyncio.Lock()
        return lock

    async def _sign(
        self, order: Order, work: Work | None, signing: Signing
    ) -> SignedBlock | Pending | AccountRecord:
        """Checks, signs and persists in one transaction. Cancelled, it may commit all the same: `signing` knows.

        Returns the account instead when it needs work first, and the block in the way when there is one.
        """
        now_ms = self._node_clock.now_ms()

        def unit(connection: Connection) -> SignedBlock | Pending | AccountRecord:
            signing.block_hash = None
            account = load_account(connection, order.address, self._network, lock=True)
            if (
                account.pending is not None
                and (pending := load_block(connection, account.pending)) is not None
            ):
                return Pending(block=pending)
            order.check(connection, account)
            keys = self._keyring.keys(_wallet_of(connection, account))  # locked: say so before work is spent
            found = self._usable_work(account, work)
            if found is None:
                return account
            signed = self._sign_next(connection, order, account, keys, found, now_ms)
            signing.block_hash = signed.transaction.hash
            return signed

        try:
            step = await self._database.write(unit)
        except OutcomeUnknown:
            raise signing.unknown() from None
        if isinstance(step, SignedBlock):
            self._signatures.labels("atto", order.kind).inc()
        return step

    def _usable_work(self, account: AccountRecord, work: Work | None) -> bytes | None:
        """The work just searched, or the one prepared earlier, if it is for this account's next block."""
        target = account.next_work_target
        for known, found in (
            (work.target, work.work) if work else (None, None),
            (account.work_target, account.work),
        ):
            if known == target and found is not None and self._work.is_valid(target, found):
                return found
        return None

    def _sign_next(
        self,
        connection: Connection,
        order: Order,
        account: AccountRecord,
        keys: AccountKeys,
        work: bytes,
        now_ms: int,
    ) -> SignedBlock:
        block = _build(order, account, now_ms)
        signed: list[SignedBlock] = []

        def persist(signature: bytes) -> None:
            transaction = Transaction(block=block, signature=signature, work=work)
            validate_transaction(transaction, network=self._network, now_ms=now_ms)
            created_at_ms = self._clock.now_ms()
            insert_signed(connection, account, transaction, order.sender, created_at_ms)
            if order.attempt is not None:
                self._idempotency.refer(connection, order.attempt, block.hash.hex())
            signed.append(
                SignedBlock(
                    transaction=transaction,
                    sender=order.sender,
                    state=BlockState.SIGNED,
                    reason=None,
                    created_at_ms=created_at_ms,
                )
            )

        def signer(message: bytes) -> bytes:
            return sign(keys.private_key(account.index), message)

        self._gate.sign(connection, _signature_request(order, block), signer, persist)
        return signed[0]


def entry_or_raise(outcome: Outcome) -> AccountEntry | None:
    if outcome.state is BlockState.REJECTED:
        raise LedgerRejected(outcome.reason or "The node rejected the transaction", code="node_rejected")
    return outcome.entry


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


def _wallet_of(connection: Connection, account: AccountRecord) -> WalletRecord:
    wallet = load_wallet(connection, account.wallet_name, hold=True)
    if wallet is None:
        raise NotFound(f"Wallet {account.wallet_name} does not exist", code="wallet_not_found")
    return wallet
