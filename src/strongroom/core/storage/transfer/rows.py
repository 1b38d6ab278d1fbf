"""Reads the rows of a table in the order of their keys, some at a time, and writes them."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, column, insert, or_, select, table
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.expression import literal_column

from strongroom.core.errors import Conflict
from strongroom.core.storage.errors import Duplicate, UnfitValue
from strongroom.core.storage.transfer.shapes import Pair, Shape, quoted
from strongroom.core.storage.transfer.values import Kind, common, stored

FIRST_ROWS, MAX_ROWS = 16, 4096
CHUNK_BYTES = 4 << 20
"""A chunk has about so many bytes, and one row at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Rows of common values, and the key of the last of them as the source's driver has it."""

    rows: Sequence[Sequence[Any]]
    last: tuple[Any, ...]


def read_chunks(
    connection: Connection, side: Shape, pair: Pair, after: tuple[Any, ...] | None = None
) -> Iterator[Chunk]:
    """The rows behind the key `after`. A table without a key comes in one go, from its beginning."""
    if not pair.key:
        yield from _read_keyless(connection, side, pair)
        return
    size = FIRST_ROWS
    names = list(pair.kinds)
    places = [names.index(name) for name in pair.key]
    while True:
        query = _select(connection, side, pair).order_by(*(column(name) for name in pair.key)).limit(size)
        if after is not None:
            query = query.where(_behind(pair.key, after))
        found = connection.execute(query).all()
        if not found:
            return
        after = tuple(found[-1][place] for place in places)
        yield Chunk(rows=_common(found, pair), last=after)
        if len(found) < size:
            return
        weight = max(1, sum(map(_weight, found)) // len(found))
        size = max(1, min(2 * size, MAX_ROWS, CHUNK_BYTES // weight))


def write_rows(connection: Connection, pair: Pair, rows: Sequence[Sequence[Any]]) -> None:
    """Raises: Conflict: the target cannot store a value, or takes two rows for one."""
    dialect = connection.dialect.name
    columns = [(name, kind, pair.target.columns[name]) for name, kind in pair.kinds.items()]
    target = table(pair.name, *(column(name) for name in pair.kinds))
    values = [
        {
            name: stored(value, kind, kept, dialect)
            for value, (name, kind, kept) in zip(row, columns, strict=True)
        }
        for row in rows
    ]
    try:
        connection.execute(insert(target), values)
    except Duplicate as error:
        raise Conflict(
            f"Two rows of the table {pair.name} are one for the other database, which ignores case or spaces at the end of a"
            " name. Rename one of them in the original",
            code="copy_rows_alike",
        ) from error
    except (UnfitValue, OverflowError) as error:
        raise Conflict(
            f"A value of the table {pair.name} does not fit into the other database: it is too large or too long there",
            code="copy_value_unfit",
        ) from error


def _read_keyless(connection: Connection, side: Shape, pair: Pair) -> Iterator[Chunk]:
    found = connection.execute(_select(connection, side, pair), execution_options={"yield_per": FIRST_ROWS})
    for part in found.partitions():
        yield Chunk(rows=_common(part, pair), last=())


def _select(connection: Connection, side: Shape, pair: Pair) -> Any:
    return select(*(_read(connection, name, side.columns[name]) for name in pair.kinds)).select_from(
        table(pair.name)
    )


def _read(connection: Connection, name: str, kind: str) -> ColumnElement[Any]:
    """MySQL shows six digits of a float of 32 bits, unless it becomes one of 64."""
    if kind == "float" and connection.dialect.name != "sqlite":
        return literal_column(f"{quoted(connection, name)} + 0e0")
    return column(name)


def _behind(key: Sequence[str], after: Sequence[Any]) -> ColumnElement[bool]:
    """(a, b) > (x, y), written so that MySQL finds the place by the index."""
    return or_(
        *(
            and_(*(column(key[i]) == after[i] for i in range(n)), column(key[n]) > after[n])
            for n in range(len(key))
        )
    )


def _common(rows: Sequence[Any], pair: Pair) -> list[list[Any]]:
    kinds: list[Kind] = list(pair.kinds.values())
    return [[common(value, kind) for value, kind in zip(row, kinds, strict=True)] for row in rows]


def _weight(row: Sequence[Any]) -> int:
    return sum(sys.getsizeof(value) for value in row)
