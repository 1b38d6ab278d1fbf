"""A checkpoint: a signed statement of what the audit trail holds at one moment.

The rows that are new since the one before make a tree of their own, the batch. The log is a tree too: its leaves are the batches, from
the first one on. A checkpoint signs both roots, and names the checkpoint before it.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from strongroom.core.clock import iso_instant, parse_instant
from strongroom.core.errors import Conflict, InvalidInput
from strongroom.core.json_decoder import decode_json
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.trail.restart import Restart
from strongroom.core.transparency.checker import leaf_hash, message_of

PURPOSE: Final = b"checkpoint"
BATCH: Final = struct.Struct(">QQQI32s32s")
"""A leaf of the log: number, milliseconds, rows, rows of the batch, root of the batch, hash of the lanes' ranges."""
NONE_BEFORE: Final = bytes(32)

_Hash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_Number = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class CheckpointsBroken(Conflict):
    """What is stored contradicts a checkpoint, so that no other one is signed."""

    code = "checkpoints_broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    ledger: str
    number: int
    """1 for the first; so many leaves the log has."""
    at_ms: int
    rows: int
    """So many rows the trail has, in all lanes."""
    batch_rows: int
    batch_root: bytes
    root: bytes
    previous: bytes
    signature: bytes = b""

    @property
    def at(self) -> str:
        try:
            return iso_instant(self.at_ms)
        except OverflowError:  # somebody changed it
            return str(self.at_ms)

    @property
    def message(self) -> bytes:
        """What is signed."""
        return message_of(
            self.ledger,
            self.number,
            self.at_ms,
            self.rows,
            self.batch_rows,
            self.batch_root,
            self.root,
            self.previous,
        )

    @property
    def hash(self) -> bytes:
        """What the next one names it by."""
        return hashlib.sha256(self.message).digest()

    def is_signed_by(self, public_key: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(self.signature, self.message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """The rows of a batch: of each lane that has new ones, in order, the last number before and the last number in it."""

    by_lane: Mapping[int, tuple[int, int]]

    @property
    def text(self) -> str:
        rows = [[lane, first, last] for lane, (first, last) in sorted(self.by_lane.items())]
        return json.dumps(rows, separators=(",", ":"))

    @property
    def count(self) -> int:
        return sum(last - first for first, last in self.by_lane.values())

    @classmethod
    def parse(cls, text: str) -> "Ranges":
        """Raises: msgspec.MsgspecError, ValueError: it was not written by `text`."""
        rows = decode_json(text, list[tuple[int, int, int]])
        found = cls(by_lane={lane: (first, last) for lane, first, last in rows})
        if found.text != text or any(not 0 <= first < last for first, last in found.by_lane.values()):
            raise ValueError("these are no ranges of lanes")
        return found


def log_leaf(one: Checkpoint, ranges: Ranges) -> bytes:
    """Its leaf in the log. It has everything but the log's own root."""
    of_ranges = hashlib.sha256(ranges.text.encode()).digest()
    entry = BATCH.pack(one.number, one.at_ms, one.rows, one.batch_rows, one.batch_root, of_ranges)
    return leaf_hash(entry)


def is_last_before(restart: Restart, one: Checkpoint) -> bool:
    """Whether it is the last one of before the trail began anew. Its signature has no key any more."""
    return (one.number, one.hash) == (restart.checkpoint.number, restart.checkpoint.hash)


def signing_key(trail_key: TrailKey) -> Ed25519PrivateKey:
    """Raises: Sealed."""
    return Ed25519PrivateKey.from_private_bytes(trail_key.derive(PURPOSE))


def public_key(trail_key: TrailKey) -> bytes:
    """Raises: Sealed."""
    return signing_key(trail_key).public_key().public_bytes_raw()


class _Document(msgspec.Struct, rename="camel"):
    ledger: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    checkpoint: _Number
    at: str
    rows: _Number
    batch_rows: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
    batch_root: _Hash
    root: _Hash
    previous: _Hash
    signature: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{128}$")]


def document_of(one: Checkpoint) -> dict[str, Any]:
    """For the log, files and programs."""
    return {
        "ledger": one.ledger,
        "checkpoint": one.number,
        "at": one.at,
        "rows": one.rows,
        "batchRows": one.batch_rows,
        "batchRoot": one.batch_root.hex(),
        "root": one.root.hex(),
        "previous": one.previous.hex(),
        "signature": one.signature.hex(),
    }


def parse_checkpoint(text: str | bytes) -> Checkpoint:
    """Raises: InvalidInput: it is no checkpoint."""
    try:
        found = decode_json(text, _Document)
        at_ms = parse_instant(found.at)
    except (msgspec.MsgspecError, ValueError):
        raise InvalidInput(
            "This is no checkpoint: it is a line of JSON, as `strongroom audit checkpoint` prints it",
            code="invalid_checkpoint",
        ) from None
    return Checkpoint(
        ledger=found.ledger,
        number=found.checkpoint,
        at_ms=at_ms,
        rows=found.rows,
        batch_rows=found.batch_rows,
        batch_root=bytes.fromhex(found.batch_root),
        root=bytes.fromhex(found.root),
        previous=bytes.fromhex(found.previous),
        signature=bytes.fromhex(found.signature),
    )
