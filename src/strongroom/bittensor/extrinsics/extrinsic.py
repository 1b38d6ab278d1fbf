"""A signed extrinsic: an intent, and the receipt that tells what became of it."""

import enum
from dataclasses import dataclass
from typing import Final

from strongroom.bittensor.protocol.failures import Failure
from strongroom.bittensor.protocol.ss58 import decode_address
from strongroom.core.errors import OutcomeUnknown, Unavailable
from strongroom.core.intents.execution import Execution, ExecutionState
from strongroom.core.intents.intent import Accepted, Intent, Pending, Rejected


class State(enum.StrEnum):
    """The stage of the intent. Clients read it too."""

    SIGNED = "signed"
    """It is stored. It is not known whether a pool has it."""
    POOLED = "pooled"
    IN_BLOCK = "in_block"
    """A block of the best chain holds it. A fork may still remove the block."""
    FINAL = "final"
    REFUSED = "refused"
    """The first pool refused it, and no one else has it."""
    WITHDRAWN = "withdrawn"
    """It never left this service."""
    EXPIRED = "expired"
    """Its era ended without it."""
    REPLACED = "replaced"
    """Another extrinsic has its nonce, or the runtime changed."""

    @property
    def is_dead(self) -> bool:
        """True: no block can ever include it."""
        return self in DEAD

    @property
    def is_resolved(self) -> bool:
        return self is State.FINAL or self.is_dead


DEAD: Final = frozenset({State.REFUSED, State.WITHDRAWN, State.EXPIRED, State.REPLACED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Inclusion:
    """The block that holds an extrinsic, and its result. An included extrinsic may have failed."""

    number: int
    hash: bytes
    index: int
    fee: int
    success: bool | None
    """None: the node has deleted the block's events."""
    failure: Failure | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of an extrinsic: the block that holds it, or why none ever will."""

    inclusion: Inclusion | None = None
    failure: Failure | None = None


NO_RECEIPT: Final = Receipt()
UNREADABLE: Final = "the node no longer had the events of its block"
NOT_SAID: Final = "the chain gave no reason"


def execution_of(inclusion: Inclusion | None) -> Execution:
    """What the chain did with an extrinsic of a final block."""
    if inclusion is None or inclusion.success is None:
        return Execution(state=ExecutionState.UNKNOWN, reason=UNREADABLE)
    if inclusion.success:
        return Execution(state=ExecutionState.SUCCEEDED)
    why = NOT_SAID if inclusion.failure is None else inclusion.failure.message
    return Execution(state=ExecutionState.FAILED, reason=why)


DELEGATE: Final = "delegate"
"""In an intent's notes: the address of the key that signed, where it called for the intent's account as its proxy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extrinsic:
    hash: bytes
    job: str
    public_key: bytes
    """Of the account that signed: the nonce is one of its nonces."""
    nonce: int
    spec_version: int
    first_block: int
    last_block: int
    state: State
    attempts: int
    """As in `Intent`: 0 means that a client submits it."""
    created_at_ms: int
    inclusion: Inclusion | None = None
    failure: Failure | None = None
    """Why it is dead."""


def extrinsic_of(intent: Intent, receipt: Receipt = NO_RECEIPT) -> Extrinsic:
    notes = intent.notes
    return Extrinsic(
        hash=intent.id,
        job=notes["job"],
        public_key=decode_address(notes.get(DELEGATE) or intent.account),
        nonce=notes["nonce"],
        spec_version=notes["specVersion"],
        first_block=notes["firstBlock"],
        last_block=notes["lastBlock"],
        state=State(intent.stage),
        attempts=intent.attempts,
        created_at_ms=intent.created_at_ms,
        inclusion=receipt.inclusion,
        failure=receipt.failure,
    )


# Verdicts of this ledger, with the facts that its effects store.


@dataclass(frozen=True, kw_only=True)
class InBlock(Pending):
    inclusion: Inclusion
    stage: str = State.IN_BLOCK


@dataclass(frozen=True, kw_only=True)
class Finalized(Accepted):
    inclusion: Inclusion
    stage: str = State.FINAL


@dataclass(frozen=True, kw_only=True)
class Dead(Rejected):
    failure: Failure
    cause: Unavailable | None = None
    """Why it was not sent."""


def finalized(inclusion: Inclusion) -> Finalized:
    return Finalized(inclusion=inclusion, execution=execution_of(inclusion))


POOLED: Final = Pending(stage=State.POOLED)


def dead(state: State, failure: Failure) -> Dead:
    """A verdict that holds whoever else has offered the extrinsic."""
    return Dead(stage=state, reason=failure.message, failure=failure)


def receipt_of(verdict: Accepted | Rejected | Pending) -> Receipt:
    match verdict:
        case InBlock(inclusion=inclusion) | Finalized(inclusion=inclusion):
            return Receipt(inclusion=inclusion)
        case Dead(failure=failure):
            return Receipt(failure=failure)
    return NO_RECEIPT


def unknown_outcome(extrinsic_hash: bytes, job: str, why: str) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"{why}. Extrinsic 0x{extrinsic_hash.hex()} was signed and is followed: ask GET /wallet/jobs/{job}"
    )
