"""A database of an original, as a whole: its schema as the server tells it, and its rows."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.engine import URL

from strongroom.core.storage.database import Database

SCHEMA = {
    "TABLES": "TABLE_NAME, ENGINE, ROW_FORMAT, TABLE_COLLATION, TABLE_COMMENT",
    "COLUMNS": "TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, CHARACTER_SET_NAME,"
    " COLLATION_NAME, COLUMN_KEY, EXTRA, COLUMN_COMMENT",
    "STATISTICS": "TABLE_NAME, INDEX_NAME, NON_UNIQUE, SEQ_IN_INDEX, COLUMN_NAME, SUB_PART, INDEX_TYPE",
    "KEY_COLUMN_USAGE": "TABLE_NAME, CONSTRAINT_NAME, COLUMN_NAME, REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME",
}
"""What is compared of the tables of `information_schema`."""

QUERY = "SELECT {columns} FROM information_schema.{table} WHERE TABLE_SCHEMA = DATABASE()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    schema: list[list[tuple[Any, ...]]]
    rows: dict[str, list[tuple[Any, ...]]]


def snapshot(connection: Connection) -> Snapshot:
    schema = [
        _sorted(connection, QUERY.format(columns=columns, table=table)) for table, columns in SCHEMA.items()
    ]
    names = sorted(row[0] for row in schema[0])
    return Snapshot(
        schema=schema,
        rows={name: _sorted(connection, f"SELECT * FROM `{name}`") for name in names},  # noqa: S608 - as above
    )


async def look(url: URL) -> Snapshot:
    """Over a connection that is gone afterwards."""
    database = Database(url)
    try:
        return await database.read(snapshot)
    finally:
        await database.close()


def _sorted(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    return sorted((tuple(row) for row in connection.execute(text(query))), key=repr)
