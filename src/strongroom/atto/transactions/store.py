"""Signed blocks from the moment they exist: persisted before they are published, settled once their fate is known.

SIGNED -> CONFIRMED, or SIGNED -> REJECTED; and the ledger has the last word: what it confirms is CONFIRMED. A SIGNED block may have been published or not, confirmed or not:
only the node knows. While it is SIGNED its account signs nothing else (`strongroom_atto_account.pending`), and
behind that stands the unique `slot`: no two different blocks on one predecessor.
"""

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select, update

from strongroom.atto import tables
from strongroom.atto.protocol import (
    AccountEntry,
    Address,
    Block,
    BlockType,
    ChangeBlock,
    Network,
    OpenBlock,
    ReceiveBlock,
    SendBlock,
    Transaction,
    entry_of,
    state_after,
)
from strongroom.atto.records import AccountRecord, load_account, state_values
from strongroom.core.errors import LedgerRejected
from strongroom.core.storage.database import insert_ignore
from strongroom.core.storage.errors import Duplicate

# Built once, as in `records`.
_BLOCK = select(tables.block).where(tables.block.c.hash == bindparam("block_hash"))
_MARK_PENDING = (
    update(tables.chain)
    .where(tables.chain.c.address == bindparam("path"))
    .values(pending=bindparam("block_hash"))
)


class BlockState(enum.StrEnum):
    SIGNED = "SIGNED"
    CONFIRMED = "CONFIRMED"
    REJECTED = "REJECTED"


class RejectionCause(enum.StrEnum):
    """Why a block is REJECTED; decisions depend on it, never on the words beside it."""

    SLOT_TAKEN = "SLOT_TAKEN"
    """Another block, signed with the account's key, is confirmed in its place: it can never be."""
    RECEIVABLE_NOT_FOUND = "RECEIVABLE_NOT_FOUND"
    RULE = "RULE"
    """It breaks another rule of the ledger."""
    ABANDONED = "ABANDONED"
    """An operator said that it can never be."""


class BlockRejected(LedgerRejected):
    """The ledger will never have the block."""

    code = "node_rejected"

    def __init__(self, message: str, cause: RejectionCause) -> None:
        super().__init__(message)
        self.cause = cause


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedBlock:
    """A persisted block of ours. `sender` is known for OPEN and RECEIVE."""

    transaction: Transaction
    sender: bytes | None
    state: BlockState
    reason: str | None
    created_at_ms: int
    cause: RejectionCause | None = None
    """Of a REJECTED one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What a settlement changed. `entry` is None when its line must be fetched from the node's history."""

    entry: AccountEntry | None
    is_complete: bool
    """Whether the account's stored entries reach up to this block."""


StoreAndAnnounce = Callable[[Connection, str, Sequence[AccountEntry]], None]
"""Stores entries of one wallet and whatever must be told about them, in the caller's transaction."""


def insert_signed(
    connection: Connection,
    account: AccountRecord,
    transaction: Transaction,
    sender: bytes | None,
    now_ms: int,
) -> None:
    """Persists the intent and marks its account; the caller publishes after the commit."""
    block = transaction.block
    row = {
        "hash": block.hash,
        "address": account.address.path,
        "height": block.height,
        "slot": block.work_target,
        "transaction": transaction.to_bytes(),
        "sender": sender,
        "state": BlockState.SIGNED,
        "created_at_ms": now_ms,
    }
    try:
        connection.execute(tables.block.insert(), row)
    except Duplicate:
        # An account whose last block is of the future gives its next one always the same timestamp: a repetition of
        # what was refused is then the very same block.
        columns = tables.block.c
        refused = (columns.hash == block.hash, columns.state == BlockState.REJECTED)
        anew = row | {"reason": None, "cause": None, "resolved_at_ms": None}
        if connection.execute(update(tables.block).where(*refused).values(anew)).rowcount == 0:
            raise
    connection.execute(_MARK_PENDING, {"path": account.address.path, "block_hash": block.hash})


def load_block(connection: Connection, block_hash: bytes) -> SignedBlock | None:
    row = connection.execute(_BLOCK, {"block_hash": block_hash}).first()
    return None if row is None else _signed_block(row)


def unsettled(connection: Connection) -> Sequence[bytes]:
    """The hash of every block whose fate is open, oldest first."""
    columns = tables.block.c
    query = select(columns.hash).where(columns.state == BlockState.SIGNED).order_by(columns.created_at_ms)
    return connection.execute(query).scalars().all()


def settle_confirmed(
    connection: Connection,
    signed: SignedBlock,
    network: Network,
    now_ms: int,
    store_and_announce: StoreAndAnnounce,
) -> Settled:
    """Records that the ledger has the block. Doing it twice, or on two replicas, changes nothing more."""
    block = signed.transaction.block
    account = load_account(connection, block.address, network, lock=True)
    _resolve(connection, block.hash, BlockState.CONFIRMED, now_ms)
    _delete_received(connection, block)
    changes: dict[str, Any] = {} if account.pending != block.hash else {"pending": None}
    entry = None
    if account.height == block.height - 1:
        changes |= state_values(state_after(block, account.state))
        entry = entry_of(block, account.state, signed.sender)
        if account.entry_height == account.height:
            store_and_announce(connection, account.wallet_name, [entry])
            changes["entry_height"] = block.height
    if changes:
        connection.execute(
            update(tables.chain).where(tables.chain.c.address == account.address.path).values(changes)
        )
    stored_height = changes.get("entry_height", account.entry_height)
    return Settled(entry=entry or _entry_by_itself(block), is_complete=stored_height >= block.height)


def settle_rejected(
    connection: Connection, signed: SignedBlock, rejected: BlockRejected, now_ms: int, network: Network
) -> bool:
    """Records that the ledger refused the block for good: its slot is free again.

    Returns False when the block had another fate already, which stays; or when its slot is taken and the account does
    not stand there yet, so that what is signed next would be for the same slot.
    """
    block = signed.transaction.block
    account = load_account(connection, block.address, network, lock=True)
    if rejected.cause is RejectionCause.SLOT_TAKEN and account.height < block.height:
        return False
    if not _resolve(connection, block.hash, BlockState.REJECTED, now_ms, rejected):
        return False
    connection.execute(
        update(tables.chain)
        .where(tables.chain.c.address == block.address.path, tables.chain.c.pending == block.hash)
        .values(pending=None)
    )
    return True


def insert_entries(connection: Connection, wallet_name: str, entries: Sequence[AccountEntry]) -> None:
    """Puts lines into the store; a line that is there stays."""
    rows = [
        {
            "address": Address(public_key=entry.public_key).path,
            "height": entry.height,
            "hash": entry.hash,
            "wallet_name": wallet_name,
            "block_type": int(entry.block_type),
            "subject": entry.subject_public_key,
            "previous_balance": entry.previous_balance,
            "balance": entry.balance,
            "timestamp_ms": entry.timestamp_ms,
        }
        for entry in entries
    ]
    insert_ignore(connection, tables.entry, rows)


def load_entry(row: Row[Any], public_key: bytes) -> AccountEntry:
    return AccountEntry(
        hash=row.hash,
        public_key=public_key,
        height=row.height,
        block_type=BlockType(row.block_type),
        subject_public_key=row.subject,
        previous_balance=row.previous_balance,
        balance=row.balance,
        timestamp_ms=row.timestamp_ms,
    )


def _resolve(
    connection: Connection,
    block_hash: bytes,
    state: BlockState,
    now_ms: int,
    rejected: BlockRejected | None = None,
) -> bool:
    """Whether that was news."""
    values: dict[str, Any] = {"state": state, "reason": None, "cause": None, "resolved_at_ms": now_ms}
    before = [BlockState.SIGNED]
    if rejected is not None:
        values |= {"slot": None, "reason": rejected.message, "cause": rejected.cause}
    else:
        before.append(BlockState.REJECTED)
    statement = (
        update(tables.block)
        .where(tables.block.c.hash == block_hash, tables.block.c.state.in_(before))
        .values(values)
    )
    return connection.execute(statement).rowcount > 0


def _delete_received(connection: Connection, block: Block) -> None:
    """With the settlement, so that after a crash nobody tries to receive it again."""
    if isinstance(block, OpenBlock | ReceiveBlock):
        connection.execute(delete(tables.receivable).where(tables.receivable.c.hash == block.send_hash))


def _entry_by_itself(block: Block) -> AccountEntry | None:
    """The line of a block whose account has already moved past it; a received amount is not in its block."""
    if not isinstance(block, SendBlock | ChangeBlock):
        return None
    spent = block.amount if isinstance(block, SendBlock) else 0
    subject = block.receiver_public_key if isinstance(block, SendBlock) else block.representative_public_key
    return AccountEntry(
        hash=block.hash,
        public_key=block.public_key,
        height=block.height,
        block_type=block.type,
        subject_public_key=subject,
        previous_balance=block.balance + spent,
        balance=block.balance,
        timestamp_ms=block.timestamp,
    )


def _signed_block(row: Row[Any]) -> SignedBlock:
    return SignedBlock(
        transaction=Transaction.from_bytes(row.transaction),
        sender=row.sender,
        state=BlockState(row.state),
        reason=row.reason,
        created_at_ms=row.created_at_ms,
        cause=RejectionCause(row.cause) if row.cause else None,
    )
