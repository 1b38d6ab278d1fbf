"""A job: what a client asked for, until it is done, and what the client is told of it."""

import enum
from dataclasses import dataclass
from typing import Any, Final

from strongroom.bittensor.extrinsics.extrinsic import Extrinsic, State
from strongroom.bittensor.protocol.failures import Failure
from strongroom.core.errors import Conflict, InvalidInput

MAX_KEY: Final = 190
ID_BYTES: Final = 16
APPROVAL: Final = "approval_id"
"""In a job's document: the request that waits for approvals, or was approved."""
REFUSAL: Final = "refusal"
"""In a job's document: why the last try to sign it was refused, where time may mend that."""


class WaitFor(enum.StrEnum):
    """The moment at which a call counts as done for its caller."""

    POOL = "pool"
    BLOCK = "block"
    FINAL = "final"


REACHED: Final = {
    WaitFor.POOL: frozenset({State.POOLED, State.IN_BLOCK, State.FINAL}),
    WaitFor.BLOCK: frozenset({State.IN_BLOCK, State.FINAL}),
    WaitFor.FINAL: frozenset({State.FINAL}),
}
PASSING: Final = frozenset({State.WITHDRAWN, State.EXPIRED, State.REPLACED})
PASSING_FAILURES: Final = frozenset(
    {
        "SettingWeightsTooFast",
        "CommittingWeightsTooFast",
        "RevealTooEarly",
        "CommitBlockNotInRevealRange",
        "RateLimitExceeded",
        "NonceTaken",
        "RuntimeUpgraded",
        "AncientBirthBlock",
        "Future",
        "ImmediatelyDropped",
        "UnknownValidity",
        "ExhaustsResources",
    }
)
DONE: Final = {
    State.POOLED: "Submitted. Not waiting for finalization or inclusion.",
    State.IN_BLOCK: "Included in a block.",
    State.FINAL: "Included in a final block.",
}
UNREADABLE: Final = "Included, but the node no longer has the block's events: success is not known."


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    id: str
    principal: str
    key: str | None
    """The Idempotency-Key."""
    fingerprint: bytes
    kind: str
    subject: bytes | None
    document: dict[str, Any]
    in_background: bool
    wait_for: WaitFor
    created_at_ms: int
    is_open: bool = True
    extrinsic: bytes | None = None
    result: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """What is known of a job. `result` is None while it is not done."""

    job: Job
    extrinsic: Extrinsic | None
    result: dict[str, Any] | None


class JobExists(Conflict):
    """The same request is under way or done: this is its job."""

    code = "job_exists"

    def __init__(self, job: Job) -> None:
        super().__init__(f"The same is under way or done: job {job.id}")
        self.job = job


def check_key(key: str | None) -> None:
    if key is not None and (not key or len(key) > MAX_KEY or not key.isprintable()):
        raise InvalidInput(f"An Idempotency-Key has 1 to {MAX_KEY} printable characters")


def may_pass(extrinsic: Extrinsic) -> bool:
    """Tells whether the same call may succeed later."""
    inclusion = extrinsic.inclusion
    failure = extrinsic.failure if inclusion is None else inclusion.failure
    if extrinsic.state in PASSING:
        return True
    return failure is not None and failure.name in PASSING_FAILURES


def result_of(job: Job, extrinsic: Extrinsic | None) -> dict[str, Any] | None:
    """Returns the client's answer; None while what the job waits for is not reached."""
    if extrinsic is None:
        return job.result
    if extrinsic.state.is_dead:
        return document(job, extrinsic, success=False, failure=extrinsic.failure)
    if extrinsic.state not in REACHED[job.wait_for]:
        return None
    inclusion = extrinsic.inclusion
    if inclusion is None or inclusion.success:
        return document(job, extrinsic, success=True, message=DONE[extrinsic.state])
    message = UNREADABLE if inclusion.success is None else None
    return document(job, extrinsic, success=inclusion.success, message=message, failure=inclusion.failure)


def document(
    job: Job,
    extrinsic: Extrinsic | None = None,
    *,
    success: bool | None,
    message: str | None = None,
    failure: Failure | None = None,
    blocks_to_wait: int | None = None,
) -> dict[str, Any]:
    inclusion = None if extrinsic is None else extrinsic.inclusion
    return {
        "success": success,
        "message": message or (failure.message if failure else "Failed without a reason"),
        "extrinsic_hash": None if extrinsic is None else f"0x{extrinsic.hash.hex()}",
        "block_hash": None if inclusion is None else f"0x{inclusion.hash.hex()}",
        "block_number": None if inclusion is None else inclusion.number,
        "extrinsic_index": None if inclusion is None else inclusion.index,
        "fee": None if inclusion is None else inclusion.fee,
        "error": None if failure is None else _failure(failure),
        "blocks_to_wait": blocks_to_wait,
        "job_id": job.id,
    }


def nothing_signed(job: Job, failure: Failure, *, blocks_to_wait: int | None = None) -> JobResult:
    """Returns the result of a job for which nothing was signed, because the chain would not take it now."""
    told = document(job, success=False, failure=failure, blocks_to_wait=blocks_to_wait)
    return JobResult(job=job, extrinsic=None, result=told)


def _failure(failure: Failure) -> dict[str, Any]:
    return {"type": failure.type, "name": failure.name, "docs": failure.docs, "code": failure.code}
