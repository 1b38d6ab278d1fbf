"""The tables of a database and their columns, as the database itself describes them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

from strongroom.core.errors import Conflict
from strongroom.core.storage.schema import TRANSFER
from strongroom.core.storage.transfer.values import Kind, kind_of

SQLITE_TABLES = text(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
)
MYSQL_COLUMNS = text("""
SELECT c.TABLE_NAME, c.COLUMN_NAME, c.COLUMN_TYPE, c.EXTRA FROM information_schema.COLUMNS c JOIN information_schema.TABLES t
 ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME
WHERE c.TABLE_SCHEMA = DATABASE() AND t.TABLE_TYPE IN ('BASE TABLE', 'SEQUENCE')
ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION
""")
MYSQL_KEYS = text("""
SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = DATABASE() AND INDEX_NAME = 'PRIMARY' ORDER BY TABLE_NAME, SEQ_IN_INDEX
""")
PLACELESS = ("date", "time", "year", "decimal", "float", "double", "bit")
NEXT_NUMBER = re.compile(r"\bAUTO_INCREMENT=(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One table: its columns that can be written, each with its type in lower case, and its primary key."""

    name: str
    is_sqlite: bool
    columns: Mapping[str, str]
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One table on both sides. `kinds` says of each column what its values are."""

    name: str
    key: tuple[str, ...]
    kinds: Mapping[str, Kind]
    source: Shape
    target: Shape


def read_shapes(connection: Connection) -> dict[str, Shape]:
    """All tables but the one of a copy itself, by their names."""
    found = _sqlite(connection) if connection.dialect.name == "sqlite" else _mysql(connection)
    found.pop(TRANSFER, None)
    return found


def pair(source: Shape, target: Shape) -> Pair:
    """Raises: Conflict: the two tables have different columns, so that rows would lose something."""
    apart = sorted(set(source.columns) ^ set(target.columns))
    if apart:
        raise Conflict(
            f"The table {source.name} has other columns in the copy than in the original: {', '.join(apart)}. Another program"
            " changed it, and the copy would lose what it added: remove these columns, or copy with the server's own tool",
            code="copy_columns_differ",
        )
    servers = [side for side in (source, target) if not side.is_sqlite]
    kinds = {
        name: kind_of([side.columns[name] for side in servers], is_mixed=len(servers) == 1)
        for name in source.columns
    }
    # What a mark cannot keep is no key to continue at.
    has_place = not any(side.columns[name].startswith(PLACELESS) for side in servers for name in source.key)
    return Pair(
        name=source.name, key=source.key if has_place else (), kinds=kinds, source=source, target=target
    )


def next_number(connection: Connection, table: str) -> int | None:
    """The number that the table gives its next row by itself, where it remembers one that no row has any more."""
    if connection.dialect.name == "sqlite":
        if connection.scalar(text("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'")) is None:
            return None
        last = connection.scalar(text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": table})
        return None if last is None else last + 1
    (_, statement) = connection.exec_driver_sql(f"SHOW CREATE TABLE {quoted(connection, table)}").one()
    found = NEXT_NUMBER.search(statement)
    return None if found is None else int(found[1])


def set_next_number(connection: Connection, table: str, number: int) -> None:
    """A table that numbers no rows by itself, or not in this way, stays as it is."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(f"ALTER TABLE {quoted(connection, table)} AUTO_INCREMENT = {number}")
        return
    definition = connection.scalar(
        text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :name"), {"name": table}
    )
    if definition is not None and "AUTOINCREMENT" in definition.upper():
        connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table})
        row = {"name": table, "seq": number - 1}
        connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :seq)"), row)


def quoted(connection: Connection, name: str) -> str:
    """A name as statements of this engine have it."""
    return connection.dialect.identifier_preparer.quote_identifier(name)


def _sqlite(connection: Connection) -> dict[str, Shape]:
    found = {}
    for name in connection.execute(SQLITE_TABLES).scalars().all():
        rows = connection.exec_driver_sql(f"PRAGMA table_info({quoted(connection, name)})").all()
        columns = {str(row[1]): str(row[2]).lower() for row in rows}
        keys = sorted((row[5], str(row[1])) for row in rows if row[5])
        found[name] = Shape(
            name=name, is_sqlite=True, columns=columns, key=tuple(column for _, column in keys)
        )
    return found


def _mysql(connection: Connection) -> dict[str, Shape]:
    columns: dict[str, dict[str, str]] = {}
    for table, name, kind, extra in connection.execute(MYSQL_COLUMNS):
        of_table = columns.setdefault(str(table), {})
        if "GENERATED" not in str(extra).upper().replace("DEFAULT_GENERATED", ""):
            of_table[str(name)] = str(kind).lower()
    keys: dict[str, list[str]] = {}
    for table, name in connection.execute(MYSQL_KEYS):
        keys.setdefault(str(table), []).append(str(name))
    return {
        table: Shape(name=table, is_sqlite=False, columns=found, key=tuple(keys.get(table, ())))
        for table, found in columns.items()
    }
