"""Encodes mortal eras, which say for how many blocks an extrinsic is valid.

Source: polkadot-sdk, `sp_runtime::generic::Era`.
"""

from dataclasses import dataclass
from typing import Final, Self

from strongroom.bittensor.protocol.errors import ProtocolError

IMMORTAL: Final = b"\x00"
MIN_BLOCKS: Final = 4
MAX_BLOCKS: Final = 1 << 16
MORTAL_BYTES: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Era:
    """The blocks in which an extrinsic is valid: `first` + 1 to `last`.

    The signature covers the hash of block `first`, so that block should be final.
    """

    first: int
    period: int

    @classmethod
    def starting(cls, current: int, period: int) -> Self:
        """Returns the era of at least `period` blocks that contains block `current` and begins at it or just before.

        The period is rounded up to a power of two from 4 to 65536.
        """
        size = min(max(1 << (period - 1).bit_length(), MIN_BLOCKS), MAX_BLOCKS)
        step = max(size >> 12, 1)
        return cls(first=current - current % size % step, period=size)

    @classmethod
    def decode(cls, raw: bytes, current: int) -> Self:
        """Returns the era that two bytes encode, the latest one that has begun by block `current`.

        Raises:
            ProtocolError: the bytes are not an era, or are the one that never ends.
        """
        if len(raw) != MORTAL_BYTES:
            raise ProtocolError("An era that ends has two bytes")
        encoded = int.from_bytes(raw, "little")
        period = 2 << (encoded & 0xF)
        phase = (encoded >> 4) * max(period >> 12, 1)
        if period < MIN_BLOCKS or phase >= period:
            raise ProtocolError("These bytes are no era")
        return cls(first=(max(current, phase) - phase) // period * period + phase, period=period)

    @property
    def last(self) -> int:
        """The last block that may hold the extrinsic."""
        return self.first + self.period - 1

    def encode(self) -> bytes:
        step = max(self.period >> 12, 1)
        phase = self.first % self.period // step
        exponent = min(max(self.period.bit_length() - 2, 1), 15)
        return (exponent | phase << 4).to_bytes(2, "little")
