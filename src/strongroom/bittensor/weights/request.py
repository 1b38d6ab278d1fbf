"""A request for weights, and how a job holds it."""

import hashlib
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from strongroom.bittensor.jobs.job import Job, WaitFor, check_key
from strongroom.bittensor.jobs.parked import ParkedWeights
from strongroom.bittensor.keystore.names import Signer
from strongroom.bittensor.protocol.errors import ProtocolError
from strongroom.bittensor.protocol.weights import (
    MECHANISM_STEP,
    AllZero,
    WeightSet,
    weight_set,
)
from strongroom.core.errors import InvalidInput

SET: Final = "set_weights"
REVEAL: Final = "reveal_weights"
CALL: Final = "SubtensorModule.set_weights"
MAX_MECHID: Final = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsRequest:
    signer: Signer
    netuid: int
    mechid: int
    weights: WeightSet
    wait_for: WaitFor
    key: str | None = None
    """The Idempotency-Key."""
    in_background: bool = False
    """True: answer at once. The job waits until the chain takes the weights, also over restarts."""
    approval: str | None = None
    """The id of the approved request that is carried out; None: somebody asks."""
    parked: ParkedWeights | None = None
    """The approved request as it was asked for."""


def weights_request(
    *,
    signer: Signer,
    netuid: int,
    mechid: int,
    uids: list[int],
    weights: list[int | float],
    version_key: int,
    wait_for: WaitFor,
    key: str | None,
    in_background: bool,
    may_be_zero: bool = False,
) -> WeightsRequest:
    """Raises: InvalidInput."""
    check_key(key)
    if not (0 <= netuid < MECHANISM_STEP and 0 <= mechid <= MAX_MECHID):
        raise InvalidInput("A netuid is from 0 to 4095, a mechid from 0 to 15", code="invalid_weights")
    try:
        checked = weight_set(uids, weights, version_key, may_be_zero=may_be_zero)
    except AllZero as error:
        raise InvalidInput(str(error), code="weights_all_zero") from None
    except ProtocolError as error:
        raise InvalidInput(str(error), code="invalid_weights") from None
    return WeightsRequest(
        signer=signer,
        netuid=netuid,
        mechid=mechid,
        weights=checked,
        wait_for=wait_for,
        key=key,
        in_background=in_background,
    )


def weights_subject(public_key: bytes, index: int) -> bytes:
    """Returns the hash of what a set of weights changes: a hotkey's weights in a subnet."""
    return hashlib.sha256(b"weights" + public_key + index.to_bytes(4, "little")).digest()


def weights_digest(weights: WeightSet) -> bytes:
    return hashlib.sha256(msgspec.json.encode([weights.uids, weights.values, weights.version_key])).digest()


def signer_of(job: Job) -> Signer:
    return Signer(wallet=job.document["wallet"], hotkey=job.document["hotkey"], coldkey=False)


def weights_of(job: Job) -> WeightSet:
    facts = job.document
    return WeightSet(
        uids=tuple(facts["uids"]), values=tuple(facts["values"]), version_key=facts["version_key"]
    )


def commits(reveal: Job, commit_hash: bytes) -> Job:
    return replace(reveal, document={**reveal.document, "committed_in": commit_hash.hex()})
