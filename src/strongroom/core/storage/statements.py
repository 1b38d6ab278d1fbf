"""Many rows in few statements, without SQLAlchemy's cost for each row.

For the paths where SQL is the cost. Rows are tuples in the order of `columns`; texts quote names with backticks,
which both databases take, and write one `{in}` where a list of values goes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Dialect
from sqlalchemy.sql.schema import Table
from sqlalchemy.types import TypeDecorator

T = TypeVar("T")
Values = tuple[Any, ...]

MAX_IN = 900
"""MariaDB turns a list of 1,000 values into a subquery, and loses the index by it."""
MAX_PAIRS = 150
"""MySQL forgets the index above about 185 pairs."""
ROWS_A_STATEMENT = 5_000


def upsert_rows(
    connection: Connection,
    table: Table,
    columns: Sequence[str],
    rows: Iterable[Values],
    update: Sequence[str],
) -> None:
    """Inserts rows; where the primary key exists, the columns `update` take the new values."""
    sql = _upsert_sql(table, tuple(columns), tuple(update), _is_sqlite(connection))
    converters = _converters(table, columns, connection.dialect)
    for chunk in chunks(rows, ROWS_A_STATEMENT):
        connection.exec_driver_sql(sql, _convert(chunk, converters) if converters else list(chunk))


def select_in(connection: Connection, sql: str, values: Iterable[str | int], *more: Any) -> Iterator[Values]:
    """Runs `sql` for chunks of `values`; `more` are the parameters that follow the list in the text."""
    mark = _mark(connection)
    for chunk in chunks(values, MAX_IN):
        text = sql.replace("{in}", f"({','.join([mark] * len(chunk))})").replace("{}", mark)
        yield from connection.exec_driver_sql(text, (*chunk, *more)).fetchall()


def select_pairs(
    connection: Connection, sql: str, columns: tuple[str, str], pairs: Iterable[tuple[str, str]]
) -> Iterator[Values]:
    """As `select_in`, for pairs of values; the text has `{pairs}` where the condition on both columns goes.

    Alternatives, because SQLite reads the whole table for `(a, b) IN (VALUES ...)`.
    """
    mark = _mark(connection)
    one = f"({columns[0]} = {mark} AND {columns[1]} = {mark})"
    for chunk in chunks(pairs, MAX_PAIRS):
        text = sql.replace("{pairs}", f"({' OR '.join([one] * len(chunk))})")
        yield from connection.exec_driver_sql(text, tuple(item for pair in chunk for item in pair)).fetchall()


def execute(connection: Connection, sql: str, *parameters: Any) -> Sequence[Values]:
    """One statement; `{}` stands for each parameter. Returns the rows of a SELECT."""
    result = connection.exec_driver_sql(marked(sql, _mark(connection)), parameters)
    return result.fetchall() if result.returns_rows else ()


@lru_cache(maxsize=512)
def marked(sql: str, mark: str) -> str:
    """The text with the driver's mark for each `{}`."""
    return sql.replace("{}", mark)


def execute_many(connection: Connection, sql: str, rows: Iterable[Values]) -> None:
    """One statement for each row of parameters."""
    listed = list(rows)
    if listed:
        connection.exec_driver_sql(sql.replace("{}", _mark(connection)), listed)


def delete_in(connection: Connection, sql: str, values: Iterable[str | int]) -> None:
    mark = _mark(connection)
    for chunk in chunks(values, MAX_IN):
        connection.exec_driver_sql(sql.replace("{in}", f"({','.join([mark] * len(chunk))})"), tuple(chunk))


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def _mark(connection: Connection) -> str:
    return "?" if _is_sqlite(connection) else "%s"


@lru_cache(maxsize=128)
def _upsert_sql(table: Table, columns: tuple[str, ...], update: tuple[str, ...], is_sqlite: bool) -> str:
    names = ",".join(f"`{name}`" for name in columns)
    marks = ",".join(["?" if is_sqlite else "%s"] * len(columns))
    insert = f"INSERT INTO `{table.name}` ({names}) VALUES ({marks})"  # noqa: S608 - names of our own tables
    if is_sqlite:
        keys = ",".join(f"`{column.name}`" for column in table.primary_key.columns)
        return f"{insert} ON CONFLICT({keys}) DO UPDATE SET " + ",".join(
            f"`{name}`=excluded.`{name}`" for name in update
        )
    return f"{insert} ON DUPLICATE KEY UPDATE " + ",".join(f"`{name}`=VALUES(`{name}`)" for name in update)


def _converters(
    table: Table, columns: Sequence[str], dialect: Dialect
) -> list[tuple[int, Callable[[Any], Any]]]:
    """What SQLite needs for its own forms of numbers; MySQL takes every value as it is."""
    if dialect.name != "sqlite":
        return []
    found: list[tuple[int, Callable[[Any], Any]]] = []
    for position, name in enumerate(columns):
        kind = table.c[name].type
        if isinstance(kind, TypeDecorator):
            found.append((position, partial(kind.process_bind_param, dialect=dialect)))
    return found


def _convert(rows: list[Values], converters: list[tuple[int, Callable[[Any], Any]]]) -> list[Values]:
    converted: list[Values] = []
    for row in rows:
        values = list(row)
        for position, convert in converters:
            values[position] = convert(values[position])
        converted.append(tuple(values))
    return converted
