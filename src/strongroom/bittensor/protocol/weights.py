"""Weights as the chain takes and stores them, and the hash that commits to them."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from strongroom.bittensor.protocol.errors import ProtocolError
from strongroom.bittensor.protocol.extrinsics import blake2_256, compact

MAX_U16: Final = 65_535
MAX_WEIGHTS: Final = 4_096
"""A subnet has 256 neurons; the chain's own limit of an argument is far above."""
MECHANISM_STEP: Final = 4_096
PLACES: Final = 32
MAX_VERSION_KEY: Final = 2**64 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightSet:
    """u16 weights for u16 uids, in the order in which they are submitted."""

    uids: tuple[int, ...]
    values: tuple[int, ...]
    version_key: int = 0


class AllZero(ProtocolError):
    """Weights that are all zero take everything away that a validator has set."""


def weight_set(
    uids: Sequence[int], weights: Sequence[int | float], version_key: int, *, may_be_zero: bool = False
) -> WeightSet:
    """Integers pass unchanged. If one is a float, all are: divided by the largest, times 65535, zeros left out.

    Raises:
        AllZero: all are, and they may not.
        ProtocolError: lengths, duplicates or ranges.
    """
    if len(uids) != len(weights):
        raise ProtocolError(f"There are {len(uids)} uids and {len(weights)} weights")
    if not 1 <= len(uids) <= MAX_WEIGHTS:
        raise ProtocolError(f"From 1 to {MAX_WEIGHTS} weights can be set, not {len(uids)}")
    if len(set(uids)) != len(uids):
        raise ProtocolError("A uid is there twice")
    if not all(0 <= uid <= MAX_U16 for uid in uids):
        raise ProtocolError(f"A uid is from 0 to {MAX_U16}")
    if not 0 <= version_key <= MAX_VERSION_KEY:
        raise ProtocolError("The version key has 64 bits")
    if not any(weights):
        if not may_be_zero:
            raise AllZero(
                "All weights are zero: this would take away all that the hotkey has set. Where that is meant, say"
                " allow_all_zero_weights"
            )
        weights = [0] * len(uids)
    if any(isinstance(weight, float) for weight in weights):
        return _normalised(uids, weights, version_key)
    values = tuple(int(weight) for weight in weights)
    if not all(0 <= value <= MAX_U16 for value in values):
        raise ProtocolError(f"A weight is a whole number from 0 to {MAX_U16}, or all are floats")
    return WeightSet(uids=tuple(uids), values=values, version_key=version_key)


def _normalised(uids: Sequence[int], weights: Sequence[int | float], version_key: int) -> WeightSet:
    if not all(0 <= weight <= sys.float_info.max for weight in weights):
        raise ProtocolError("A weight is a finite number, 0 or more")
    largest = max(weights)
    scaled = [(uid, round(weight / largest * MAX_U16)) for uid, weight in zip(uids, weights, strict=True)]
    kept = [(uid, value) for uid, value in scaled if value]
    return WeightSet(
        uids=tuple(uid for uid, _ in kept), values=tuple(value for _, value in kept), version_key=version_key
    )


def upscaled(values: Sequence[int]) -> list[int]:
    """What the chain stores: the largest becomes 65535, halves are rounded up, all zeros stay."""
    largest = max(values, default=0)
    if largest == 0:
        return list(values)
    return [(2 * value * MAX_U16 + largest) // (2 * largest) for value in values]


def is_self_weight(uid: int, weights: WeightSet) -> bool:
    """One weight, for the own uid: the chain asks for no permit, no number and no share of it."""
    return weights.uids == (uid,)


def exceeds_share(values: Sequence[int], limit: int) -> bool:
    """Whether the largest has more of the sum than `limit` of 65535, in the chain's 32 binary places."""
    scaled = upscaled(values)
    total = sum(scaled)
    return total > 0 and (max(scaled) << PLACES) // total > (limit << PLACES) // MAX_U16


def mechanism_index(netuid: int, mechid: int) -> int:
    """Where the storage keeps what belongs to a mechanism of a subnet."""
    return mechid * MECHANISM_STEP + netuid


def commit_hash(public_key: bytes, index: int, weights: WeightSet, salt: Sequence[int]) -> bytes:
    """What `commit_weights` sends and `reveal_weights` is checked against. `index`: the subnet's, or `mechanism_index`."""
    return blake2_256(
        b"".join(
            (
                public_key,
                _u16(index),
                _vector(weights.uids),
                _vector(weights.values),
                _vector(salt),
                weights.version_key.to_bytes(8, "little"),
            )
        )
    )


def _vector(numbers: Sequence[int]) -> bytes:
    return compact(len(numbers)) + b"".join(_u16(number) for number in numbers)


def _u16(number: int) -> bytes:
    return number.to_bytes(2, "little")
