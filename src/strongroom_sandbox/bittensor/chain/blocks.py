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
    """What its state is to be read with; after an upgrade the new one, in the very block that brought it."""
    values: dict[bytes, bytes] | None
    """The state after it; None when it was discarded."""

    @property
    def number(self) -> int:
        return self.header.number


def slot_log(slot: int) -> bytes:
    """The digest item that says whose turn it was. Here it also sets blocks apart that are otherwise the same."""
    return AURA_PRE_RUNTIME + sized(slot.to_bytes(8, "little"))


def slot_of(logs: tuple[bytes, ...]) -> int:
    """The reverse; 0 for genesis, which has none."""
    return int.from_bytes(logs[0][-8:], "little") if logs else 0


def genesis_block(genesis_hash: bytes, runtime: Runtime, values: dict[bytes, bytes] | None) -> Block:
    header = Header(number=0, parent=bytes(32), state_root=bytes(32), extrinsics_root=bytes(32), logs=())
    return Block(header=header, hash=genesis_hash, extrinsics=[], runtime=runtime, values=values)
