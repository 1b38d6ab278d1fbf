"""Blocks as intents: reads a block, its state and its history entry from a stored intent."""

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
    """The state of a block as clients read it. SIGNED and CONFIRMED are also stages of an intent."""

    SIGNED = "SIGNED"
    CONFIRMED = "CONFIRMED"
    REJECTED = "REJECTED"


class RejectionCause(enum.StrEnum):
    """Why a block is REJECTED; stored as the intent's stage. Code decides by this cause, never by the reason's text."""

    SLOT_TAKEN = "SLOT_TAKEN"
    """The network confirmed another block of the account at this height, so this one can never be confirmed."""
    RECEIVABLE_NOT_FOUND = "RECEIVABLE_NOT_FOUND"
    RULE = "RULE"
    """The block breaks another rule of the ledger."""
    ABANDONED = "ABANDONED"
    """An operator gave the block up with `strongroom atto reconcile`."""


class BlockRejected(LedgerRejected):
    """The ledger refuses the block for good."""

    code = "node_rejected"

    def __init__(self, message: str, cause: RejectionCause) -> None:
        super().__init__(message)
        self.cause = cause


def transaction_of(intent: Intent) -> Transaction:
    return Transaction.from_bytes(intent.payload)


def sender_of(intent: Intent) -> bytes | None:
    """The public key of the sender whose amount an OPEN or RECEIVE takes; None for SEND and CHANGE."""
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
    """The history entry of a confirmed block; None when the block's own bytes do not suffice to make it.

    Raises:
        BlockRejected: the block is rejected for good.
        OutcomeUnknown: the outcome is still open.
    """
    if intent.outcome is Outcome.REJECTED:
        reason = intent.reason or "The node rejected the transaction"
        raise BlockRejected(reason, RejectionCause(intent.stage))
    if intent.outcome is Outcome.OPEN:
        raise unknown_outcome(intent.id)
    return entry_from_block(transaction_of(intent).block)


def entry_from_block(block: Block) -> AccountEntry | None:
    """The history entry of a SEND or CHANGE; None for OPEN and RECEIVE, whose blocks do not contain the amount."""
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
