"""Makes the tag of a row: a keyed hash over its table, its name, the audit row of its last change, and every column that decides.

    HMAC-SHA256(key, table, row's name, sequence, each column's name and its value or NULL)

Whoever can write the database but has no key can make none. An old row with its own old tag is found by `sequence`: the audit
trail has a later row for the same subject.
"""

import hmac
from collections.abc import Iterable, Mapping

Value = bytes | str | int | None
TAG_BYTES = 32


def row_tag(key: bytes, table: str, name: str, sequence: int, columns: Mapping[str, Value]) -> bytes:
    """The order of the columns counts."""
    parts: list[bytes | None] = [table.encode(), name.encode(), sequence.to_bytes(8, "big")]
    for column, value in columns.items():
        parts += [column.encode(), as_bytes(value)]
    return hmac.digest(key, encoded(parts), "sha256")


def is_tag(stored: bytes | None, expected: bytes) -> bool:
    return stored is not None and hmac.compare_digest(stored, expected)


def encoded(parts: Iterable[bytes | None]) -> bytes:
    """Joins the parts, each after its length, so that different lists give different bytes; NULL differs from an empty value."""
    return b"".join(b"\xff" * 4 if part is None else len(part).to_bytes(4, "big") + part for part in parts)


def as_bytes(value: Value) -> bytes | None:
    """A column has values of one type, so that the same bytes are the same value. A truth value is stored as a number."""
    if value is None or isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else b"%d" % value
