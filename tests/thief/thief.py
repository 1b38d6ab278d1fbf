"""Somebody who may write a database and has no key: they know its URL, and how the service's tables look."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

from sqlalchemy import Connection, MetaData, Table, delete, insert, select, text
from sqlalchemy.engine import URL

from strongroom.core.security.trail.rows import Content, End, TrailKeys, head_tag, row_hash
from strongroom.core.storage.database import Database

Rows = list[dict[str, Any]]
Copy = dict[str, Rows]
CHUNK = 200
AUDIT = "strongroom_audit"
HEADS = "strongroom_audit_lane"
CONTENT = ("at_ms", "principal", "action", "subject", "details")
OWN_KEYS = TrailKeys(rows=b"t" * 32, heads=b"h" * 32)
"""The thief's own: they know how the trail is made, and not with which key."""
NO_KEYS = TrailKeys(rows=b"", heads=b"")
"""As a hash without a key would be."""


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

    async def rewrite_trail(self, keys: TrailKeys) -> None:
        """Every row says that token:nobody did it, and follows the one before under another key; so do the heads."""
        lanes: dict[int, End] = {}
        rows = sorted(await self.rows(AUDIT), key=lambda row: row["sequence"])
        for row in (row for row in rows if row["lane"] is not None):
            row["principal"] = "token:nobody"
            end = lanes.get(row["lane"], End(lane=row["lane"]))
            content = Content(**{name: row[name] for name in CONTENT})
            row["previous_hash"] = end.hash
            row["hash"] = row_hash(keys, end, content)
            lanes[end.lane] = End(
                lane=end.lane, number=row["number"], sequence=row["sequence"], hash=row["hash"]
            )
        await self.put_back(AUDIT, rows)
        await self._move_heads({lane: (end, head_tag(keys, end)) for lane, end in lanes.items()})

    async def cut_trail(self) -> None:
        """The last row of each lane is gone, and the head names the one before."""
        rows = sorted(
            (row for row in await self.rows(AUDIT) if row["lane"] is not None),
            key=lambda row: row["sequence"],
        )
        by_lane: dict[int, Rows] = {}
        for row in rows:
            by_lane.setdefault(row["lane"], []).append(row)
        ends: dict[int, tuple[End, bytes | None]] = {}
        for lane, those in by_lane.items():
            end = End(lane=lane)
            if len(those) > 1:
                last = those[-2]
                end = End(lane=lane, number=last["number"], sequence=last["sequence"], hash=last["hash"])
            ends[lane] = end, None
        left = [row for those in by_lane.values() for row in those[:-1]]
        await self.put_back(AUDIT, left)
        await self._move_heads(ends)

    async def _move_heads(self, ends: Mapping[int, tuple[End, bytes | None]]) -> None:
        heads = await self.rows(HEADS)
        for head in heads:
            if head["lane"] in ends:
                end, tag = ends[head["lane"]]
                head |= {"number": end.number, "sequence": end.sequence, "hash": end.hash}
                head["tag"] = tag or head["tag"]
        await self.put_back(HEADS, heads)

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
