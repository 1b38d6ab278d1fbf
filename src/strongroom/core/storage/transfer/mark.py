"""The table by which a database is a copy that is not complete: what it is a copy of, and how far each table is.

The service refuses such a database (`schema.require_whole`). The table is the first thing in a copy, and goes last.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from json import dumps
from typing import Any

from sqlalchemy import Column, Connection, MetaData, Table, inspect, select
from sqlalchemy.schema import CreateTable, DropTable

from strongroom.core.errors import Conflict
from strongroom.core.json_decoder import decode_json
from strongroom.core.storage.database import ascii_text, upsert
from strongroom.core.storage.schema import TRANSFER
from strongroom.core.storage.tables import LONG_TEXT

SOURCE = " source"
"""The row that says what this is a copy of: no table is called like that."""
DONE = "done"
NOT_EMPTY = "copy_target_not_empty"

_MARK = Table(
    TRANSFER,
    MetaData(),
    Column("name", ascii_text(190), primary_key=True),
    Column("position", LONG_TEXT, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """How far a copy is: the last key of each table that was begun, and the tables that are complete."""

    keys: Mapping[str, tuple[Any, ...]]
    done: frozenset[str]


def begin(connection: Connection, source: str) -> Positions | None:
    """Makes an empty database the copy of `source`, or finds how far the same copy came before; None: it begins.

    Raises:
        Conflict: there are tables already, or it is a copy of something else.
    """
    tables = set(inspect(connection).get_table_names())
    if TRANSFER not in tables:
        if tables:
            raise Conflict(
                f"The database is not empty ({len(tables)} tables, {min(tables)} is one). Nothing was changed. Name a new and"
                " empty one; or, if nothing in it is needed, drop it and create it again",
                code=NOT_EMPTY,
            )
        connection.execute(CreateTable(_MARK))
        upsert(connection, _MARK, [{"name": SOURCE, "position": source}], ["position"])
        connection.commit()
        return None
    rows = {row.name: row.position for row in connection.execute(select(_MARK))}
    of = rows.pop(SOURCE, source)
    if of != source:
        raise Conflict(
            f"The database is an incomplete copy of {of}: continue that copy, or drop the database and create it again",
            code="copy_of_another",
        )
    upsert(connection, _MARK, [{"name": SOURCE, "position": source}], ["position"])
    connection.commit()
    return Positions(
        keys={name: _read(position) for name, position in rows.items() if position != DONE},
        done=frozenset(name for name, position in rows.items() if position == DONE),
    )


def keep(connection: Connection, name: str, key: tuple[Any, ...] | None) -> None:
    """Keeps how far a table is, in the transaction that writes its rows; None: it is complete."""
    position = DONE if key is None else dumps([_written(value) for value in key])
    upsert(connection, _MARK, [{"name": name, "position": position}], ["position"])


def end(connection: Connection) -> None:
    """The copy is complete, and the service may use it."""
    connection.execute(DropTable(_MARK))
    connection.commit()


def _written(value: Any) -> Any:
    return {"bytes": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _read(position: str) -> tuple[Any, ...]:
    return tuple(
        base64.b64decode(value["bytes"]) if isinstance(value, dict) else value
        for value in decode_json(position)
    )
