"""Builds the next block of an account: checks the request against the stored account and makes the unsigned block."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, bindparam, update

from strongroom.atto import tables
from strongroom.atto.gateway.node_clock import NodeClock
from strongroom.atto.protocol import (
    MAX_FUTURE_MS,
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
from strongroom.atto.transactions.blocks import BlockState
from strongroom.atto.wallets.keyring import Keyring
from strongroom.core.coordination.idempotency import Attempt, Idempotency
from strongroom.core.errors import Conflict, InvalidInput, NotFound, Unavailable
from strongroom.core.intents.intent import Intent
from strongroom.core.intents.signing import Signed, Unsigned
from strongroom.core.intents.store import load_intent
from strongroom.core.security.access import Principal
from strongroom.core.security.policy import Deferral, Policy, SignatureRequest

TIME_MARGIN_MS = 5_000
"""We know the node's clock only to within a few seconds, so we stay this far below its limit."""
_MARK_OPEN = (
    update(tables.chain)
    .where(tables.chain.c.address == bindparam("path"))
    .values(pending=bindparam("block_hash"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRequest:
    """A request for the next block of an account."""

    principal: Principal
    scope: str
    address: Address
    check: Callable[[Connection, AccountRecord], None]
    """Raises when the request does not fit the stored state; runs in the transaction that signs."""
    build: Callable[[AccountRecord, int], Block]
    """Makes the block from the account and the earliest timestamp in milliseconds; it may choose a later one."""
    amount_raw: int = 0
    destination: Address | None = None
    sender: bytes | None = None
    """The sender's public key, for OPEN and RECEIVE."""
    attempt: Attempt | None = None
    """The idempotency key of the request."""
    deferral: Deferral = field(default_factory=Deferral)

    def instead_of(self, lost: bytes) -> "BlockRequest":
        """The same request, to be signed again after the block `lost` lost its slot to another block."""
        if self.attempt is None:
            return self
        return replace(self, attempt=replace(self.attempt, replaces=lost.hex()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Proof of work and the target it is for. The account may have moved meanwhile; then the target no longer fits."""

    target: bytes
    work: bytes


class WorkNeeded(Exception):
    """Proof of work must be searched before the account's next block can be signed."""

    def __init__(self, target: bytes, timestamp_ms: int) -> None:
        super().__init__("Proof of work is missing")
        self.target = target
        self.timestamp_ms = timestamp_ms


class BlockInTheWay(Exception):
    """The account has an open block, whose outcome must be known before the next one is signed."""

    def __init__(self, intent: Intent) -> None:
        super().__init__("The account has an open block")
        self.intent = intent


class Drafts:
    """Makes block drafts for `Signing`."""

    def __init__(
        self,
        *,
        network: Network,
        node_clock: NodeClock,
        keyring: Keyring,
        idempotency: Idempotency,
        policy: Policy,
    ) -> None:
        self.policy = policy
        self.network = network
        self.node_clock = node_clock
        self.keyring = keyring
        self.idempotency = idempotency

    def draft(self, request: BlockRequest, work: Work | None) -> "BlockDraft":
        return BlockDraft(parts=self, request=request, work=work, now_ms=self.node_clock.now_ms())


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockDraft:
    """The draft of one block, as `core.intents.signing.Draft` describes it."""

    parts: Drafts
    request: BlockRequest
    work: Work | None
    now_ms: int

    def prepare(self, connection: Connection) -> Unsigned:
        """Locks the account, checks the request and builds the block.

        Raises:
            BlockInTheWay: the account has an open block.
            WorkNeeded: no stored or searched work fits the block.
            Forbidden: the policy will not let the block be signed, so that no work is searched for it.
            NotFound, Conflict, InvalidInput, Locked, Unavailable: the request cannot become a block now.
        """
        request, network = self.request, self.parts.network
        # The row lock keeps other processes off the account until the intent is stored.
        account = load_account(connection, request.address, network, lock=True)
        if account.open_block is not None:
            intent = load_intent(connection, account.open_block)
            if intent is not None:
                raise BlockInTheWay(intent)
        if request.attempt is not None:
            self.parts.idempotency.require_current(connection, request.attempt)
        request.check(connection, account)
        wallet = _wallet_of(connection, account)
        keys = self.parts.keyring.keys(
            connection, wallet
        )  # a locked wallet fails here, before work is searched for it
        _require_own_key(keys, account)
        block = _build(request, account, self.now_ms)
        _require_in_time(block, self.now_ms)
        asked = _signature_request(request, block, wallet.name)
        work = self._usable_work(account, block)
        if work is None:
            self.parts.policy.ask(connection, asked)  # what a rule refuses is not worth the search
            raise WorkNeeded(block.work_target, block.timestamp)

        def seal(signature: bytes) -> Signed:
            transaction = Transaction(block=block, signature=signature, work=work)
            _require_valid(transaction, network)
            return Signed(id=block.hash, payload=transaction.to_bytes())

        return Unsigned(
            request=asked,
            slot=block.work_target,
            signer=lambda message: sign(keys.private_key(account.index), message),
            seal=seal,
            stage=BlockState.SIGNED,
            notes={} if request.sender is None else {"sender": request.sender.hex().upper()},
        )

    def on_signed(self, connection: Connection, intent: Intent) -> None:
        """Stores the block as the account's open block and as the result of the idempotency key."""
        if self.request.attempt is not None:
            self.parts.idempotency.refer(connection, self.request.attempt, intent.id.hex())
        connection.execute(_MARK_OPEN, {"path": intent.account, "block_hash": intent.id})

    def _usable_work(self, account: AccountRecord, block: Block) -> bytes | None:
        """The work that was just searched, or the stored one, whichever is valid for this block; None: neither is."""
        searched = (self.work.target, self.work.work) if self.work else (None, None)
        for target, found in (searched, (account.work_target, account.work)):
            if target != block.work_target or not found:
                continue
            # Work that was found earlier may be too weak: the difficulty rises with the year of the block's timestamp.
            if is_work_valid(self.parts.network, block.timestamp, block.work_target, found):
                return found
        return None


def _build(request: BlockRequest, account: AccountRecord, now_ms: int) -> Block:
    # The ledger requires that each block is later than the one before it.
    earliest_ms = account.state.timestamp_ms + 1 if account.state else 0
    try:
        return request.build(account, max(now_ms, earliest_ms))
    except ProtocolError as error:
        raise InvalidInput(str(error), code=error.code) from error


def _require_in_time(block: Block, now_ms: int) -> None:
    """Refuses a block that lies too far ahead of the node's clock.

    This happens when the account's last block has a timestamp in the future: the next block must be later still.

    Raises:
        Unavailable: no node would take the block yet.
    """
    ahead_ms = block.timestamp - now_ms
    if ahead_ms > MAX_FUTURE_MS - TIME_MARGIN_MS:
        wait_s = (ahead_ms - MAX_FUTURE_MS + TIME_MARGIN_MS) // 1000 + 1
        raise Unavailable(
            f"The next block of {block.address.uri} would be {ahead_ms // 1000} s ahead of the node's clock, because "
            f"it must be later than the block or the send before it; nothing was signed, try again in {wait_s} s",
            code="ahead_of_time",
        )


def _require_valid(transaction: Transaction, network: Network) -> None:
    """Checks the signed transaction by the ledger's rules before it is stored."""
    try:
        validate_transaction(transaction, network=network, now_ms=transaction.block.timestamp)
    except ProtocolError as error:
        raise Unavailable(f"The block would not be valid: {error}; nothing was signed") from error


def _signature_request(request: BlockRequest, block: Block, wallet: str) -> SignatureRequest:
    return SignatureRequest(
        principal=request.principal,
        scope=request.scope,
        account=request.address.path,
        kind=block.type.name,
        payload_hash=block.hash,
        wallet=wallet,
        amount_raw=request.amount_raw,
        destination=request.destination.path if request.destination else None,
        # Kind, amount and destination say all of a SEND or a CHANGE that the next block does not change.
        content_hash=b"",
        deferral=request.deferral,
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
