"""Counts and hashes the rows of both sides.

A table's hash is the sum of its rows' SHA-512, so that it does not depend on the order in which an engine sorts keys. It finds
faults, not forgeries: those are found by the audit trail's tags.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from strongroom.core.errors import StrongroomError
from strongroom.core.storage.transfer.rows import read_chunks
from strongroom.core.storage.transfer.shapes import Pair, Shape
from strongroom.core.storage.transfer.values import encoded

MODULUS = 1 << 512

Step = Callable[[int], None]
"""Is told how many rows were done."""


class CopyDiffers(StrongroomError):
    """A copy is not what it is a copy of."""

    code = "copy_differs"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDigest:
    """How many rows a table has, and their hash in hex."""

    name: str
    rows: int
    hash: str


def digest(connection: Connection, side: Shape, pair: Pair, step: Step) -> TableDigest:
    """Of the rows of one side."""
    rows, total = 0, 0
    kinds = list(pair.kinds.values())
    for chunk in read_chunks(connection, side, pair):
        for row in chunk.rows:
            total += int.from_bytes(hashlib.sha512(encoded(row, kinds)).digest())
        rows += len(chunk.rows)
        step(len(chunk.rows))
    return TableDigest(name=pair.name, rows=rows, hash=f"{total % MODULUS:0128x}")


def require_equal(source: Sequence[TableDigest], target: Sequence[TableDigest]) -> None:
    """Raises: CopyDiffers: the message says in which tables."""
    found = [
        f"{ours.name} ({ours.rows} rows, in the copy {theirs.rows})"
        for ours, theirs in zip(source, target, strict=True)
        if ours != theirs
    ]
    if found:
        raise CopyDiffers(
            f"The copy differs from the original in {', '.join(found)}. If something wrote to the original meanwhile, stop it."
            " Drop the copy and make it again: it is not used as it is"
        )
