"""Proof of work: eight bytes that, hashed together with the target, give a number below the threshold.

The formula follows the node's code. The published documentation differs: it gives other factors and does not truncate the
divisor.
"""

import hashlib
import math
from datetime import UTC, datetime
from typing import Final

from strongroom.atto.protocol.errors import InvalidWork
from strongroom.atto.protocol.fields import HASH_SIZE, WORK_SIZE
from strongroom.atto.protocol.networks import Network

_THRESHOLD_2024: Final = 8_589_934_591
_FACTOR: Final = {Network.LIVE: 1, Network.BETA: 10, Network.DEV: 100, Network.LOCAL: 100_000}
_FIRST_YEAR: Final = 2024
_END_MS: Final = 253_402_300_800_000
"""The start of the year 10000, which datetime cannot represent."""


def threshold(network: Network, timestamp_ms: int) -> int:
    """The highest work value that is valid for a block with this timestamp. It halves every two years.

    Raises:
        InvalidWork: the timestamp is before 2024 or after 9999, where no threshold is defined.
    """
    if not 0 <= timestamp_ms < _END_MS:
        raise InvalidWork("No work is defined for this timestamp")
    year = datetime.fromtimestamp(timestamp_ms // 1000, UTC).year
    if year < _FIRST_YEAR:
        raise InvalidWork(f"No work is defined before {_FIRST_YEAR}")
    # isqrt(2^n) is 2^(n/2) truncated, exact for every year.
    return _THRESHOLD_2024 * _FACTOR[network] // math.isqrt(1 << (year - _FIRST_YEAR))


def work_value(work: bytes, target: bytes) -> int:
    """An unsigned 64-bit number: the 8-byte BLAKE2b digest of work (8 bytes) and target (32 bytes), read little-endian."""
    return int.from_bytes(hashlib.blake2b(work + target, digest_size=8).digest(), "little")


def verify_work(network: Network, timestamp_ms: int, target: bytes, work: bytes) -> None:
    """Returns when `work` is valid for a block with this timestamp.

    Raises:
        InvalidWork: the work is too weak, or the work or the target has the wrong size.
    """
    if len(work) != WORK_SIZE or len(target) != HASH_SIZE:
        raise InvalidWork(f"Work has {WORK_SIZE} bytes and its target {HASH_SIZE}")
    if work_value(work, target) > threshold(network, timestamp_ms):
        raise InvalidWork("Work is invalid")


def is_work_valid(network: Network, timestamp_ms: int, target: bytes, work: bytes) -> bool:
    """Whether the work is valid. Stored work may have become too weak, which is no error."""
    try:
        verify_work(network, timestamp_ms, target, work)
    except InvalidWork:
        return False
    return True
