"""Reads and writes the parts of SCALE: bytes in order, and the two forms of a length."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

DEEPEST = 64
"""How deep values of one type may be nested, as calls are in batches. The chain's own limit is 256."""
COMPACT_ONE_BYTE = 1 << 6
COMPACT_TWO_BYTES = 1 << 14
COMPACT_FOUR_BYTES = 1 << 30


class ScaleError(ValueError):
    """The bytes do not decode, or a value does not fit its type."""


@dataclass(slots=True)
class Reader:
    """Takes bytes from the front of `data`."""

    data: bytes
    offset: int = 0
    depth: int = 0

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """Reads a value that is nested in one of the same type."""
        if self.depth == DEEPEST:
            raise ScaleError(f"values lie more than {DEEPEST} deep in each other")
        self.depth += 1
        yield
        self.depth -= 1

    def take(self, size: int) -> bytes:
        end = self.offset + size
        if end > len(self.data):
            raise ScaleError(
                f"{size} bytes wanted at {self.offset}, there are {len(self.data) - self.offset}"
            )
        taken = self.data[self.offset : end]
        self.offset = end
        return taken

    def rest(self) -> bytes:
        return self.take(len(self.data) - self.offset)

    def integer(self, size: int, *, signed: bool = False) -> int:
        return int.from_bytes(self.take(size), "little", signed=signed)

    def compact(self) -> int:
        first = self.integer(1)
        mode = first & 3
        if mode == 3:  # noqa: PLR2004 - the big-integer mode of SCALE
            return self.integer((first >> 2) + 4)
        extra = (0, 1, 3)[mode]
        return (first | self.integer(extra) << 8) >> 2

    def sized(self) -> bytes:
        """A byte string with its length in front."""
        return self.take(self.compact())

    def end(self) -> None:
        if self.offset != len(self.data):
            raise ScaleError(f"{len(self.data) - self.offset} bytes are left over")


def compact(value: int) -> bytes:
    """Returns the compact form of a number that is not negative."""
    if value < 0:
        raise ScaleError(f"{value} is negative")
    if value < COMPACT_ONE_BYTE:
        return bytes([value << 2])
    if value < COMPACT_TWO_BYTES:
        return (value << 2 | 1).to_bytes(2, "little")
    if value < COMPACT_FOUR_BYTES:
        return (value << 2 | 2).to_bytes(4, "little")
    size = (value.bit_length() + 7) // 8
    return bytes([(size - 4) << 2 | 3]) + value.to_bytes(size, "little")


def sized(data: bytes) -> bytes:
    """A byte string with its length in front."""
    return compact(len(data)) + data
