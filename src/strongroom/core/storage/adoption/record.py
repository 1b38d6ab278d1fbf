"""What a database was before it was taken over: every table's definition and rows. The record lies in the database itself.

It is written in one transaction before the first change. It is no revision of ours: only databases of originals have it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, delete, insert, inspect, select, text
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import CreateTable

from strongroom.core.errors import Conflict
from strongroom.core.json_decoder import decode_json
from strongroom.core.storage.adoption.definitions import (
    Definition,
    is_ours,
    quoted,
    read_definition,
    table_names,
    table_statement,
)
from strongroom.core.storage.adoption.original import Original
from strongroom.core.storage.database import exact_text

ADOPTING = "ADOPTING"
ADOPTED = "ADOPTED"
RETURNING = "RETURNING"
HEADER = ""

RECORD = Table(
    "strongroom_adoption",
    MetaData(),
    Column("name", exact_text(64), primary_key=True),
    Column(
        "content",
        mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin"),
        nullable=False,
    ),
    Column("row_count", BigInteger, nullable=False),
    comment="the tables as they were before this service took them over: strongroom adopt LEDGER --revert",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The database before it was taken over."""

    state: str
    ledger: str
    version: str
    """The original's."""
    adopted_at_ms: int
    remembered: Any
    """What the ledger's `Original` gave."""
    statements: Mapping[str, str]
    """Each table's definition as the server wrote it."""
    rows: Mapping[str, int]

    def definition(self, table: str) -> Definition:
        return read_definition(self.statements[table])


def read_record(connection: Connection) -> Record | None:
    if not inspect(connection).has_table(RECORD.name):
        return None
    rows = {row.name: row for row in connection.execute(select(RECORD))}
    header = rows.pop(HEADER, None)
    if header is None:
        return None  # the process ended before it wrote anything
    told = decode_json(header.content)
    return Record(
        statements=MappingProxyType({name: row.content for name, row in rows.items()}),
        rows=MappingProxyType({name: row.row_count for name, row in rows.items()}),
        **told,
    )


def write_record(connection: Connection, ledger: str, original: Original, now_ms: int) -> Record:
    """Writes the record if there is none.

    Raises:
        Conflict: the database has our tables and no record, so that nobody knows how it was.
    """
    known = read_record(connection)
    if known is not None:
        require_ledger(known, ledger)
        return known
    names = table_names(connection)
    if any(is_ours(name) for name in names if name not in {RECORD.name, "strongroom_lease"}):
        raise Conflict(
            "This database is in use already: `serve` or `migrate` took it over before, and nobody noted how it was."
            " It needs no adoption"
        )
    if RECORD.name not in names:
        connection.execute(CreateTable(RECORD))
    told = {
        "state": ADOPTING,
        "ledger": ledger,
        "version": original.version(connection).name,
        "adopted_at_ms": now_ms,
        "remembered": original.remember(connection),
    }
    rows = [
        {
            "name": name,
            "content": table_statement(connection, name),
            "row_count": count_rows(connection, name),
        }
        for name in names
        if not is_ours(name)
    ]
    connection.execute(delete(RECORD))
    connection.execute(insert(RECORD), [{"name": HEADER, "content": json.dumps(told), "row_count": 0}, *rows])
    written = read_record(connection)
    assert written is not None  # noqa: S101 - for the type checker
    return written


def set_state(connection: Connection, record: Record, state: str) -> None:
    told = {
        "state": state,
        "ledger": record.ledger,
        "version": record.version,
        "adopted_at_ms": record.adopted_at_ms,
        "remembered": record.remembered,
    }
    header = RECORD.update().where(RECORD.c.name == HEADER)
    connection.execute(header.values(content=json.dumps(told)))


def require_ledger(record: Record, ledger: str) -> None:
    """Raises: Conflict: the record is another ledger's."""
    if record.ledger != ledger:
        raise Conflict(f"This database was taken over for {record.ledger}, not for {ledger}")


def count_rows(connection: Connection, table: str) -> int:
    return int(connection.scalar(text(f"SELECT COUNT(*) FROM {quoted(table)}")) or 0)  # noqa: S608 - a table's quoted name
