"""Blocks as intents: what the engine stores of a block, and the words of this ledger for it."""

import enum

from strongroom.atto.protocol import (
    AccountEntry,
    Block,
    ChangeBlock,
    SendBlock,
    Transaction,
)
from strongroom.core.errors import LedgerRejected, OutcomeUnknown
from strongroom.core.intents.intent import Intent, Outcome


class BlockState(enum.StrEnum):
    """What clients read. The first two are the stages of an intent as well."""

    SIGNED = "SIGNED"
    CONFIRMED = "CONFIRMED"
    REJECTED = "REJECTED"


class RejectionCause(enum.StrEnum):
    """Why a block is REJECTED: its stage then. Decisions depend on it, never on the words beside it."""

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


def transaction_of(intent: Intent) -> Transaction:
    return Transaction.from_bytes(intent.payload)


def sender_of(intent: Intent) -> bytes | None:
    """The public key of who sent what an OPEN or RECEIVE receives."""
    sender: str | None = intent.notes.get("sender")
    return None if sender is None else bytes.fromhex(sender)


def state_of(intent: Intent) -> BlockState:
    match intent.outcome:
        case Outcome.OPEN:
            return BlockState.SIGNED
        case Outcome.ACCEPTED:
            return BlockState.CONFIRMED
        case Outcome.REJECTED:
            return BlockState.REJECTED


def require_confirmed(intent: Intent) -> AccountEntry | None:
    """The line of a confirmed block, where its bytes say it all.

    Raises:
        BlockRejected: the ledger will never have it.
        OutcomeUnknown: its outcome is open.
    """
    if intent.outcome is Outcome.REJECTED:
        reason = intent.reason or "The node rejected the transaction"
        raise BlockRejected(reason, RejectionCause(intent.stage))
    if intent.outcome is Outcome.OPEN:
        raise unknown_outcome(intent.id)
    return entry_by_itself(transaction_of(intent).block)


def entry_by_itself(block: Block) -> AccountEntry | None:
    """The line of a SEND or CHANGE; a received amount is not in its block."""
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


def unknown_outcome(block_hash: bytes) -> OutcomeUnknown:
    shown = block_hash.hex().upper()
    return OutcomeUnknown(
        f"Transaction {shown} was submitted and is not confirmed yet. It is being resolved: "
        f"ask GET /wallets/accounts/transactions/{shown}, or repeat the request with the same Idempotency-Key"
    )
