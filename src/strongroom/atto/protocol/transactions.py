"""A transaction is a block with its signature and its work."""

from dataclasses import dataclass
from typing import Final, Self

from strongroom.atto.protocol.blocks import Block, parse_block
from strongroom.atto.protocol.fields import SIGNATURE_SIZE, WORK_SIZE, require_size

_TAIL_SIZE: Final = SIGNATURE_SIZE + WORK_SIZE


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A well-formed transaction; `validation.validate_transaction` checks whether it is also valid.

    Raises:
        InvalidBlock: the signature or the work has the wrong size.
    """

    block: Block
    signature: bytes
    """64 bytes, over the hash of the block."""
    work: bytes
    """8 bytes, see `work`."""

    def __post_init__(self) -> None:
        require_size(self.signature, SIGNATURE_SIZE, "signature")
        require_size(self.work, WORK_SIZE, "work")

    @property
    def hash(self) -> bytes:
        """The hash of the block; signature and work are not part of it."""
        return self.block.hash

    def to_bytes(self) -> bytes:
        """Block, signature, work."""
        return self.block.to_bytes() + self.signature + self.work

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parses the bytes of exactly one transaction; raises as `parse_block`."""
        block, tail = data[:-_TAIL_SIZE], data[-_TAIL_SIZE:]
        return cls(block=parse_block(block), signature=tail[:SIGNATURE_SIZE], work=tail[SIGNATURE_SIZE:])
