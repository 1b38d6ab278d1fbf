"""Keeps the chain over restarts: it writes what each block changed, and the next start of the sandbox reads it."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from strongroom_sandbox.bittensor.chain.blocks import Block, Header
from strongroom_sandbox.bittensor.codec.runtime import Runtime, shipped_runtime

LENGTH_BYTES = 4


class Seal(msgspec.Struct, tag="seal", frozen=True):
    """A block of the branch. `changes` turn its parent's state into its own; those of the first block are the whole state."""

    number: int
    parent: bytes
    extrinsics_root: bytes
    logs: tuple[bytes, ...]
    hash: bytes
    extrinsics: list[bytes]
    metadata: int
    spec_version: int
    changes: dict[bytes, bytes | None]
    finalized: int


class Retract(msgspec.Struct, tag="retract", frozen=True):
    """An entry that says how many blocks were retracted."""

    count: int


Entry = Seal | Retract
_decode = msgspec.msgpack.Decoder(Entry).decode


class Journal:
    """Appends entries; the operating system has each one when `write` returns."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, entry: Entry) -> None:
        data = msgspec.msgpack.encode(entry)
        self._file.write(len(data).to_bytes(LENGTH_BYTES, "big") + data)
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read_entries(path: Path) -> Iterator[Entry]:
    """Reads the entries of a journal, without a last one that a crash cut off."""
    if not path.exists():
        return
    with path.open("rb") as file:
        while len(prefix := file.read(LENGTH_BYTES)) == LENGTH_BYTES:
            size = int.from_bytes(prefix, "big")
            data = file.read(size)
            if len(data) < size:
                return
            yield _decode(data)


def sealed(block: Block, changes: dict[bytes, bytes | None], finalized: int) -> Seal:
    return Seal(
        number=block.number,
        parent=block.header.parent,
        extrinsics_root=block.header.extrinsics_root,
        logs=block.header.logs,
        hash=block.hash,
        extrinsics=block.extrinsics,
        metadata=block.runtime.metadata_of,
        spec_version=block.runtime.spec_version,
        changes=changes,
        finalized=finalized,
    )


def read_block(seal: Seal, values: dict[bytes, bytes]) -> Block:
    """Returns the block of an entry, with the state after it."""
    header = Header(
        number=seal.number,
        parent=seal.parent,
        state_root=bytes(32),
        extrinsics_root=seal.extrinsics_root,
        logs=seal.logs,
    )
    return Block(
        header=header,
        hash=seal.hash,
        extrinsics=seal.extrinsics,
        runtime=_runtime(seal.metadata, seal.spec_version),
        values=values,
    )


def changed(before: dict[bytes, bytes], after: dict[bytes, bytes]) -> dict[bytes, bytes | None]:
    """Returns the changes from one state to the next."""
    changes: dict[bytes, bytes | None] = {
        key: value for key, value in after.items() if before.get(key) != value
    }
    changes.update(dict.fromkeys(before.keys() - after.keys()))
    return changes


def apply(changes: dict[bytes, bytes | None], before: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Applies changes to a state, the reverse of `changed`."""
    return {key: value for key, value in (before | changes).items() if value is not None}


def _runtime(metadata: int, spec_version: int) -> Runtime:
    runtime = shipped_runtime(metadata)
    return runtime if spec_version == metadata else runtime.with_spec_version(spec_version)
