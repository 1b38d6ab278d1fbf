"""Somebody who may write a database and has no key: they know its URL, and how the service's tables look."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

from sqlalchemy import Connection, MetaData, Table, delete, insert, select, text
from sqlalchemy.engine import URL

from strongroom.core.storage.database import Database

Rows = list[dict[str, Any]]
Copy = dict[str, Rows]
CHUNK = 200


class Thief:
    """Reads and writes past the service. They use its driver, and none of its code that knows a key."""

    def __init__(self, database: Database, tables: dict[str, Table]) -> None:
        self._database = database
        self._tables = tables

    @classmethod
    async def at(cls, database: Database) -> Self:
        def look(connection: Connection) -> dict[str, Table]:
            metadata = MetaData()
            metadata.reflect(connection)
            return dict(metadata.tables)

        return cls(database, await database.write(look))

    @property
    def tables(self) -> Sequence[str]:
        """All but those that say which version the schema has."""
        return sorted(name for name in self._tables if not name.startswith("strongroom_version"))

    async def rows(self, table: str, **equal: Any) -> Rows:
        query = select(self._tables[table]).filter_by(**equal)
        return [dict(row._mapping) for row in await self._database.fetch_all(query)]

    async def copy(self) -> Copy:
        return {table: await self.rows(table) for table in self.tables}

    async def put_back(self, table: str, rows: Rows) -> None:
        """The table has these rows and no others."""

        def work(connection: Connection) -> None:
            self._ignore_keys(connection)
            connection.execute(delete(self._tables[table]))
            for first in range(0, len(rows), CHUNK):
                connection.execute(insert(self._tables[table]), rows[first : first + CHUNK])

        await self._database.write(work)

    async def add(self, table: str, row: dict[str, Any]) -> None:
        await self._database.write(lambda connection: connection.execute(insert(self._tables[table]), row))

    async def run(self, *statements: str) -> None:
        def work(connection: Connection) -> None:
            self._ignore_keys(connection)
            for statement in statements:
                connection.execute(text(statement))

        await self._database.write(work)

    def _ignore_keys(self, connection: Connection) -> None:
        is_sqlite = connection.dialect.name == "sqlite"
        connection.execute(
            text("PRAGMA defer_foreign_keys = ON" if is_sqlite else "SET FOREIGN_KEY_CHECKS = 0")
        )


@asynccontextmanager
async def thief_at(url: URL) -> AsyncIterator[Thief]:
    database = Database(url)
    try:
        yield await Thief.at(database)
    finally:
        await database.close()
