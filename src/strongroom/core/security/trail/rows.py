"""What ties the rows of the audit trail together.

A row's `hash` is an HMAC, under a key that is not in the database, over the hash of the row before in its lane and over all that the
row says. The row cannot contain its own sequence, which the database gives; it contains that of the row before. The head of a lane
has a tag under another key, so that it cannot be set back to an earlier row. Rows of before there were lanes are a SHA-256 chain;
the head of lane -1 records how many they are and the hash of the last one, and is tagged too when the first keyed row is written.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

import msgspec

from strongroom.core.security.keys.trail_key import TrailKey

GENESIS: Final = bytes(32)
ROWS: Final = b"audit"
HEADS: Final = b"audit heads"

_encoder = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a row says."""

    at_ms: int
    principal: str
    action: str
    subject: str
    details: str


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The last row of a lane. `number` 0: there is none yet."""

    lane: int
    number: int = 0
    sequence: int = 0
    hash: bytes = GENESIS


@dataclass(frozen=True, slots=True)
class TrailKeys:
    """The keys that the trail is made with."""

    rows: bytes
    heads: bytes

    def __repr__(self) -> str:
        return "TrailKeys(hidden)"


def keys_of(key: TrailKey) -> TrailKeys:
    """Raises: Sealed."""
    return TrailKeys(key.derive(ROWS), key.derive(HEADS))


def row_hash(keys: TrailKeys, end: End, content: Content) -> bytes:
    """Of the row that follows the end of a lane."""
    row = _encoder.encode([end.lane, end.number + 1, end.sequence, *_fields(content)])
    return hmac.digest(keys.rows, end.hash + row, "sha256")


def head_tag(keys: TrailKeys, end: End) -> bytes:
    return hmac.digest(keys.heads, end.hash + _encoder.encode([end.lane, end.number, end.sequence]), "sha256")


def old_hash(previous: bytes, sequence: int, content: Content) -> bytes:
    """Of a row of before there were lanes."""
    return hashlib.sha256(previous + _encoder.encode([sequence, *_fields(content)])).digest()


def _fields(content: Content) -> tuple[int | str, ...]:
    return content.at_ms, content.principal, content.action, content.subject, content.details
