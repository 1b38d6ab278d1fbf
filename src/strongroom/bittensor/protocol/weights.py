"""Prepares weights as the chain takes and stores them, and computes the hash that commits to them."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from strongroom.bittensor.protocol.errors import ProtocolError
from strongroom.bittensor.protocol.extrinsics import blake2_256, compact

MAX_U16: Final = 65_535
MAX_WEIGHTS: Final = 4_096
"""A subnet has 256 neurons, and the chain's own limit for an argument is far higher."""
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
    """All weights are zero, which would remove everything that the validator has set."""


def weight_set(
    uids: Sequence[int], weights: Sequence[int | float], version_key: int, *, may_be_zero: bool = False
) -> WeightSet:
    """Returns the weights as the chain takes them.

    Integers stay as they are. If one is a float, all are scaled so that the largest is 65535, and those that become zero are left out.

    Raises:
        AllZero: all weights are zero, and they may not be.
        ProtocolError: the lengths differ, a uid is there twice, or a number is out of range.
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
    """Returns what the chain stores: scaled so that the largest is 65535, halves rounded up. If all are zero they stay zero."""
    largest = max(values, default=0)
    if largest == 0:
        return list(values)
    return [(2 * value * MAX_U16 + largest) // (2 * largest) for value in values]


def is_self_weight(uid: int, weights: WeightSet) -> bool:
    """Returns whether there is one weight, for the own uid. The chain asks no permit for it, and no least number or largest share."""
    return weights.uids == (uid,)


def exceeds_share(values: Sequence[int], limit: int) -> bool:
    """Returns whether the largest weight has a greater share of the sum than `limit` / 65535, with the chain's 32 binary places."""
    scaled = upscaled(values)
    total = sum(scaled)
    return total > 0 and (max(scaled) << PLACES) // total > (limit << PLACES) // MAX_U16


def mechanism_index(netuid: int, mechid: int) -> int:
    """Returns the index under which the chain's storage keeps a mechanism of a subnet."""
    return mechid * MECHANISM_STEP + netuid


def commit_hash(public_key: bytes, index: int, weights: WeightSet, salt: Sequence[int]) -> bytes:
    """Returns the hash that `commit_weights` sends and `reveal_weights` is checked against.

    `index` is the netuid, or `mechanism_index` for a mechanism.
    """
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
