"""Blocks and their headers."""

from dataclasses import dataclass

from strongroom_sandbox.bittensor.codec.hashers import blake2_256
from strongroom_sandbox.bittensor.codec.runtime import Runtime
from strongroom_sandbox.bittensor.codec.scale import compact, sized

AURA_PRE_RUNTIME = b"\x06aura"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    number: int
    parent: bytes
    state_root: bytes
    extrinsics_root: bytes
    logs: tuple[bytes, ...]

    @property
    def hash(self) -> bytes:
        return blake2_256(
            self.parent
            + compact(self.number)
            + self.state_root
            + self.extrinsics_root
            + compact(len(self.logs))
            + b"".join(self.logs)
        )


@dataclass(slots=True, kw_only=True)
class Block:
    header: Header
    hash: bytes
    extrinsics: list[bytes]
    runtime: Runtime
    """The runtime that its state is read with; in the block of an upgrade it is the new one."""
    values: dict[bytes, bytes] | None
    """The state after the block; None if it was discarded."""

    @property
    def number(self) -> int:
        return self.header.number


def slot_log(slot: int) -> bytes:
    """Returns the digest item that names the block's slot. It also makes blocks differ that are otherwise the same."""
    return AURA_PRE_RUNTIME + sized(slot.to_bytes(8, "little"))


def slot_of(logs: tuple[bytes, ...]) -> int:
    """Returns the slot in a digest; 0 for genesis, which has none."""
    return int.from_bytes(logs[0][-8:], "little") if logs else 0


def genesis_block(genesis_hash: bytes, runtime: Runtime, values: dict[bytes, bytes] | None) -> Block:
    header = Header(number=0, parent=bytes(32), state_root=bytes(32), extrinsics_root=bytes(32), logs=())
    return Block(header=header, hash=genesis_hash, extrinsics=[], runtime=runtime, values=values)
