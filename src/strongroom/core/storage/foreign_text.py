"""Widens columns of adopted tables whose character set is too small for the text that they may get.

A table in latin1, ascii or utf8mb3 cannot store an emoji: MySQL refuses the row, and everything that depends on it stops. Our
own table definitions say which columns must store any text: those declared as utf8mb4.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from sqlalchemy import Connection, MetaData, text
from sqlalchemy.sql.schema import Column

CHARSET = "utf8mb4"
COLLATION = "utf8mb4_bin"
SHORT_KEYS = frozenset({"COMPACT", "REDUNDANT"})
"""In these row formats a key has at most 767 bytes, which is 191 characters of four bytes."""
ACTUAL = text("""
SELECT c.TABLE_NAME, c.COLUMN_NAME, c.COLUMN_TYPE, c.IS_NULLABLE = 'YES', c.CHARACTER_SET_NAME, c.COLLATION_NAME,
 t.ROW_FORMAT, t.TABLE_ROWS
FROM information_schema.COLUMNS c JOIN information_schema.TABLES t
 ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME
WHERE c.TABLE_SCHEMA = DATABASE() AND c.CHARACTER_SET_NAME IS NOT NULL
ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class NarrowColumn:
    """A column whose character set is too small."""

    table: str
    column: str
    type: str
    nullable: bool
    charset: str
    collation: str
    row_format: str
    rows: int
    """The server's estimate of the table's rows."""


def narrow_columns(connection: Connection, metadata: MetaData) -> list[NarrowColumn]:
    """Columns of existing tables whose character set is too small, or that are keys and ignore case."""
    if connection.dialect.name == "sqlite":
        return []
    found: list[NarrowColumn] = []
    for table, name, kind, nullable, charset, collation, row_format, rows in connection.execute(ACTUAL):
        ours = metadata.tables.get(table)
        column = None if ours is None else ours.columns.get(name)
        if (
            column is None
            or getattr(column.type.dialect_impl(connection.dialect), "charset", None) != CHARSET
        ):
            continue
        if charset != CHARSET or (_is_key(column) and not collation.endswith("_bin")):
            found.append(
                NarrowColumn(
                    table=table,
                    column=name,
                    type=kind,
                    nullable=bool(nullable),
                    charset=charset,
                    collation=collation,
                    row_format=(row_format or "").upper(),
                    rows=rows or 0,
                )
            )
    return found


def conversions(columns: Sequence[NarrowColumn]) -> list[str]:
    """The statements that widen these columns, one for each table. Each one rewrites its table and its indexes."""
    return [_conversion(table, list(group)) for table, group in groupby(columns, key=attrgetter("table"))]


def describe(columns: Sequence[NarrowColumn]) -> list[str]:
    """Describes the conversions to the operator before they are made."""
    sentences = []
    for table, group in groupby(columns, key=attrgetter("table")):
        listed = list(group)
        names = ", ".join(f"{one.column} ({one.collation})" for one in listed)
        sentences.append(
            f"{table}: {names} becomes {COLLATION}, to take any text; the table is rewritten (about {listed[0].rows:,} rows)"
        )
    return sentences


def widen_texts(connection: Connection, metadata: MetaData) -> None:
    """Widens every column that is too narrow. The stored text stays the same."""
    for statement in conversions(narrow_columns(connection, metadata)):
        connection.execute(text(statement))


def _conversion(table: str, columns: Sequence[NarrowColumn]) -> str:
    changes = [
        f"MODIFY `{one.column}` {one.type} CHARACTER SET {CHARSET} COLLATE {COLLATION}"
        f"{'' if one.nullable else ' NOT NULL'}"
        for one in columns
    ]
    if columns[0].row_format in SHORT_KEYS:
        changes.append("ROW_FORMAT=DYNAMIC")
    return f"ALTER TABLE `{table}` {', '.join(changes)}"


def _is_key(column: "Column[object]") -> bool:
    return column.primary_key or bool(column.unique)
