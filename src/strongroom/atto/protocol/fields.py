"""Checks the ranges and sizes of the fields of every record, so that every record can be serialised."""

from strongroom.atto.protocol.errors import InvalidAmount, InvalidBlock
from strongroom.atto.protocol.networks import I64_MAX, MAX_SUPPLY_RAW, U16_MAX, U64_MAX

HASH_SIZE = 32
PUBLIC_KEY_SIZE = 32
SIGNATURE_SIZE = 64
WORK_SIZE = 8


def require_size(value: bytes, size: int, name: str) -> None:
    """Raises InvalidBlock unless `value` has `size` bytes."""
    if len(value) != size:
        raise InvalidBlock(f"{name} must have {size} bytes")


def require_version(version: int) -> None:
    """Raises InvalidBlock unless `version` fits in 16 bits; `validation` checks whether the version is in force."""
    if not 0 <= version <= U16_MAX:
        raise InvalidBlock("version must be between 0 and 65535")


def require_height(height: int) -> None:
    """Raises InvalidBlock unless `height` is between 1, the first block's height, and the largest unsigned 64-bit number."""
    if not 1 <= height <= U64_MAX:
        raise InvalidBlock("height must be between 1 and 18446744073709551615")


def require_timestamp(timestamp_ms: int) -> None:
    """Raises InvalidBlock unless `timestamp_ms` is not negative and fits in signed 64 bits."""
    if not 0 <= timestamp_ms <= I64_MAX:
        raise InvalidBlock("timestamp must be between 0 and 9223372036854775807")


def require_amount(amount_raw: int, name: str) -> None:
    """Raises InvalidAmount unless `amount_raw` is between 0 and the whole supply."""
    if not 0 <= amount_raw <= MAX_SUPPLY_RAW:
        raise InvalidAmount(f"{name} must be between 0 and {MAX_SUPPLY_RAW}")
