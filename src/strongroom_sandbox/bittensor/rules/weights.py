"""Checks weights as the chain does, and computes what it stores."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

U16_MAX: Final = 65_535
_PLACES: Final = 32
_HALF: Final = 1 << (_PLACES - 1)
_SCALED_FIRST: Final = 32_768


def max_upscale(weights: Sequence[int]) -> list[int]:
    """Returns the weights scaled so that the greatest is 65535, halves rounded up, in the chain's I32F32 steps."""
    greatest = max(weights, default=0)
    if not greatest:
        return list(weights)
    if greatest > _SCALED_FIRST:
        # The chain divides first here, as the product would not fit; that loses the last places.
        factor = (U16_MAX << _PLACES) // greatest
        return [_rounded(weight * factor) for weight in weights]
    return [_rounded((weight * U16_MAX << _PLACES) // greatest) for weight in weights]


def exceeds_share(weights: Sequence[int], limit: int) -> bool:
    """Returns whether the greatest weight has a larger share of the sum than `limit` / 65535."""
    total = sum(weights)
    if not total:
        return False
    return (max(weights) << _PLACES) // total > (limit << _PLACES) // U16_MAX


def is_self_weight(uid: int, uids: Sequence[int], weights: Sequence[int]) -> bool:
    """Returns whether there is one weight, for the own uid, which needs no permit and no minimum."""
    return len(weights) == 1 and bool(uids) and uids[0] == uid


def commit_hash(
    hotkey: bytes,
    index: int,
    uids: Sequence[int],
    values: Sequence[int],
    salt: Sequence[int],
    version_key: int,
) -> bytes:
    """Returns the hash for commit_weights: BLAKE2b-256 over SCALE. `index` is the netuid, or a mechanism's storage index."""
    parts = [hotkey, index.to_bytes(2, "little"), *(_vector(items) for items in (uids, values, salt))]
    return blake2b(b"".join(parts) + version_key.to_bytes(8, "little"), digest_size=32).digest()


def _rounded(bits: int) -> int:
    return min(bits + _HALF >> _PLACES, U16_MAX)


def _vector(items: Sequence[int]) -> bytes:
    return _compact(len(items)) + b"".join(item.to_bytes(2, "little") for item in items)


def _compact(number: int) -> bytes:
    if number < 1 << 6:
        return (number << 2).to_bytes(1, "little")
    if number < 1 << 14:
        return (number << 2 | 1).to_bytes(2, "little")
    return (number << 2 | 2).to_bytes(4, "little")
