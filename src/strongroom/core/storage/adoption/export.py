"""Writes the tables that a database loses into one file, before it is given back."""

import gzip
import json
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

from sqlalchemy import Connection, text

from strongroom.core.storage.adoption.definitions import quoted, table_statement
from strongroom.core.storage.backup import put_file

ROWS_AT_ONCE = 1000


def export_tables(connection: Connection, tables: Iterable[str], target: Path) -> None:
    """One JSON document a line, compressed: each table's definition, then its rows. Bytes are in hex.

    Raises:
        Conflict: the target exists.
    """

    def write(draft: Path) -> None:
        with gzip.open(draft, "wt", encoding="utf-8") as file:
            for table in tables:
                _write_table(connection, table, file)

    put_file(target, write)


def _write_table(connection: Connection, table: str, file: TextIO) -> None:
    _write_line(file, {"table": table, "definition": table_statement(connection, table)})
    query = text(f"SELECT * FROM {quoted(table)}")  # noqa: S608 - a table's quoted name
    rows = connection.execute(query.execution_options(yield_per=ROWS_AT_ONCE))
    for row in rows.mappings():
        _write_line(file, {"table": table, "row": {name: _plain(value) for name, value in row.items()}})


def _write_line(file: TextIO, document: dict[str, Any]) -> None:
    file.write(json.dumps(document, ensure_ascii=False))
    file.write("\n")


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else str(value)
    return value if value is None or isinstance(value, int | float | str) else str(value)
