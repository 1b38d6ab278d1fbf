"""Lets a migration that was killed on MySQL be run again.

MySQL commits each DDL statement by itself, with the rows that were changed before it. So a run that is killed leaves the tables as
they are between two statements, and its revision's number unwritten: the next run begins that revision anew. It must pass over what
stands already. `resumable` does so for every table, column and index of every revision; a revision itself only has to bear that its
own rows are there (`insert_ignore`), or that a table which it empties and drops is gone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic.ddl.base import AddColumn
from sqlalchemy import DDL, Connection, Index, Inspector, Table, event, inspect
from sqlalchemy.schema import CreateIndex, CreateTable, DropTable, ExecutableDDLElement

NOTHING = "DO 0"


@contextmanager
def resumable(connection: Connection) -> Iterator[None]:
    """Within it, DDL whose effect stands already is not sent. On SQLite nothing is left by half: all is one transaction."""
    if connection.dialect.name == "sqlite":
        yield
        return

    def pass_over(
        _connection: Connection, element: Any, multi: Any, single: Any, _options: object
    ) -> tuple[Any, Any, Any]:
        if isinstance(element, ExecutableDDLElement):
            if _stands(schema, element):
                return DDL(NOTHING), multi, single  # type: ignore[no-untyped-call]
            schema.clear_cache()
        return element, multi, single

    schema = inspect(connection)
    event.listen(connection, "before_execute", pass_over, retval=True)
    try:
        yield
    finally:
        event.remove(connection, "before_execute", pass_over)


def create_missing(connection: Connection, table: Table) -> None:
    """Creates a table, or the indexes that it lacks. One counts as there if an existing one starts with the same columns."""
    if not inspect(connection).has_table(table.name):
        table.create(connection)
        return
    known = [index["column_names"] for index in inspect(connection).get_indexes(table.name)]
    for index in table.indexes:
        wanted = [column.name for column in index.columns]
        if not any(columns[: len(wanted)] == wanted for columns in known):
            index.create(connection)


def _stands(schema: Inspector, element: ExecutableDDLElement) -> bool:
    match element:
        case CreateTable(element=Table() as table):
            # A table of this name with other columns is another program's: then the database refuses the statement.
            return _columns(schema, table.name) == set(table.columns.keys())
        case CreateIndex(element=Index(table=Table() as table) as index):
            # In a plan the table need not be there.
            return schema.has_table(table.name) and any(
                (one["name"], one["column_names"], one["unique"])
                == (index.name, index.columns.keys(), bool(index.unique))
                for one in schema.get_indexes(table.name)
            )
        case AddColumn():
            return element.column.name in _columns(schema, str(element.table_name))
        case DropTable(element=Table() as table):
            return not schema.has_table(table.name)
    return False


def _columns(schema: Inspector, table: str) -> set[str]:
    if not schema.has_table(table):
        return set()
    return {column["name"] for column in schema.get_columns(table)}
