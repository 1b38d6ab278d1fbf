"""What a value is on one engine and on the other one, and the bytes by which both have the same hash.

Most values are the same on both. These are not:

    WIDE      0 to 2^64-1: a number on MySQL, text of 20 digits on SQLite
    EXACT     a decimal on MySQL, its text on SQLite
    MOMENT    a time with microseconds on MySQL, its text on SQLite
    SECOND    the same without microseconds
    SHORT     a float of 32 bits on MySQL, of 64 on SQLite
    TOLD      a date or a time of day, which only tables of other programs have: its text on SQLite
"""

import struct
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

WIDE_DIGITS = 20
LENGTH = struct.Struct(">I")
SHORT = struct.Struct(">f")
LONG = struct.Struct(">d")
STORED = "%Y-%m-%d %H:%M:%S.%f"
"""As SQLAlchemy stores a time on SQLite."""


class Kind(Enum):
    """See above."""

    PLAIN = "plain"
    WIDE = "wide"
    EXACT = "exact"
    MOMENT = "moment"
    SECOND = "second"
    SHORT = "short"
    TOLD = "told"


MIXED = {"decimal": Kind.EXACT, "bigint": Kind.WIDE, "date": Kind.TOLD, "time": Kind.TOLD, "year": Kind.TOLD}
"""Kinds of columns that are MySQL's on one side, by the beginning of their type."""


def kind_of(servers: Sequence[str], *, is_mixed: bool) -> Kind:
    """The kind of a column, by its type on each side that is MySQL's. Where both are SQLite's, every value stays as it is."""
    if any(one.startswith(("timestamp", "datetime")) for one in servers):
        return Kind.MOMENT if all("(" in one for one in servers) else Kind.SECOND
    if any(one.startswith("float") for one in servers):
        return Kind.SHORT
    if is_mixed:
        for beginning, kind in MIXED.items():
            if any(one.startswith(beginning) for one in servers):
                return kind
    return Kind.PLAIN


def common(value: Any, kind: Kind) -> Any:
    """A driver's value in the form that both engines share."""
    if value is None:
        return None
    if kind is Kind.WIDE:
        return int(value)
    if kind is Kind.EXACT:
        return Decimal(value)
    if kind in {Kind.MOMENT, Kind.SECOND}:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return moment.replace(microsecond=0) if kind is Kind.SECOND else moment
    if kind is Kind.TOLD:
        return str(value)
    return value


def stored(value: Any, kind: Kind, column: str, dialect: str) -> Any:
    """A common value as the driver of an engine takes it for a column of this type."""
    if value is None or dialect != "sqlite":
        return value
    is_text = "char" in column or "text" in column
    if kind is Kind.WIDE:
        return f"{value:0{WIDE_DIGITS}d}" if is_text else value
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.strftime(STORED)
    return value


def encoded(values: Sequence[Any], kinds: Sequence[Kind]) -> bytes:
    """The bytes of a row of common values, in which no two rows are alike."""
    parts: list[bytes] = []
    for value, kind in zip(values, kinds, strict=True):
        part = _encoded(value, kind)
        parts += (LENGTH.pack(len(part)), part)
    return b"".join(parts)


def _encoded(value: Any, kind: Kind) -> bytes:
    if value is None:
        return b""
    if isinstance(value, int):
        return b"i%d" % value
    if isinstance(value, str):
        return b"t" + value.encode()
    if isinstance(value, bytes):
        return b"b" + value
    if isinstance(value, float):
        return b"f" + SHORT.pack(value) if kind is Kind.SHORT else b"d" + LONG.pack(value)
    return b"o" + (_plain(value) if isinstance(value, Decimal) else str(value)).encode()


def _plain(value: Decimal) -> str:
    """Without zeros at the end, with which engines differ."""
    return f"{value.normalize() if value else 0:f}"
