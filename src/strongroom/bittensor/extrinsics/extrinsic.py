"""A signed extrinsic as this ledger reads it: an intent, and the receipt that tells what became of it."""

import enum
from dataclasses import dataclass
from typing import Final

from strongroom.bittensor.protocol.failures import Failure
from strongroom.bittensor.protocol.ss58 import decode_address
from strongroom.core.errors import OutcomeUnknown, Unavailable
from strongroom.core.intents.intent import Accepted, Intent, Pending, Rejected


class State(enum.StrEnum):
    """The stage of the intent, and what clients read."""

    SIGNED = "signed"
    """Stored. Whether a pool has it is not known."""
    POOLED = "pooled"
    IN_BLOCK = "in_block"
    """In a block of the best chain, which may yet be another."""
    FINAL = "final"
    REFUSED = "refused"
    """The first pool that was asked refused it, and nobody else has it."""
    WITHDRAWN = "withdrawn"
    """It never left this service."""
    EXPIRED = "expired"
    """Its era ended without it."""
    REPLACED = "replaced"
    """Another extrinsic has its nonce, or the runtime changed."""

    @property
    def is_dead(self) -> bool:
        """It can never be included."""
        return self in DEAD

    @property
    def is_resolved(self) -> bool:
        return self is State.FINAL or self.is_dead


DEAD: Final = frozenset({State.REFUSED, State.WITHDRAWN, State.EXPIRED, State.REPLACED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Inclusion:
    """The block that holds an extrinsic, and what it did there. Inclusion is not success."""

    number: int
    hash: bytes
    index: int
    fee: int
    success: bool | None
    """None: the node no longer has the block's events."""
    failure: Failure | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of an extrinsic: the block that holds it, or why none ever will."""

    inclusion: Inclusion | None = None
    failure: Failure | None = None


NO_RECEIPT: Final = Receipt()


@dataclass(frozen=True, slots=True, kw_only=True)
class Extrinsic:
    hash: bytes
    job: str
    public_key: bytes
    nonce: int
    spec_version: int
    first_block: int
    last_block: int
    state: State
    attempts: int
    """How often this service offered it. 0: another submits it."""
    created_at_ms: int
    inclusion: Inclusion | None = None
    failure: Failure | None = None
    """Why it is dead."""


def extrinsic_of(intent: Intent, receipt: Receipt = NO_RECEIPT) -> Extrinsic:
    notes = intent.notes
    return Extrinsic(
        hash=intent.id,
        job=notes["job"],
        public_key=decode_address(intent.account),
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


# What the network says, with what this ledger stores of it.


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
    """What kept it from being sent."""


POOLED: Final = Pending(stage=State.POOLED)


def dead(state: State, failure: Failure) -> Dead:
    """Whatever anybody else offered: it can never be included."""
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
