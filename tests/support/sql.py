"""SQL texts of tests, for each database: `{}` stands for a parameter, backticks quote names."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection

from strongroom.core.storage.statements import Values


def execute(connection: Connection, sql: str, *parameters: Any) -> Sequence[Values]:
    """Returns the rows of a SELECT."""
    result = connection.exec_driver_sql(_marked(connection, sql), parameters)
    return result.fetchall() if result.returns_rows else ()


def execute_many(connection: Connection, sql: str, rows: Iterable[Values]) -> None:
    """One statement for each row of parameters."""
    connection.exec_driver_sql(_marked(connection, sql), list(rows))


def _marked(connection: Connection, sql: str) -> str:
    return sql.replace("{}", "?" if connection.dialect.name == "sqlite" else "%s")
