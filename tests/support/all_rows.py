"""Everything that a database holds, to compare before and after."""

from sqlalchemy import Connection, MetaData, select

from strongroom.core.storage.database import Database

UNTOLD = frozenset(
    {"strongroom_lease", "strongroom_replica", "strongroom_checkpoint", "strongroom_checkpoint_state"}
)
"""What changes by itself."""


async def all_rows(database: Database, *, but: frozenset[str] = frozenset()) -> dict[str, list[str]]:
    """The rows of every table, in any order that stays the same; `but` are further tables to leave out."""

    def read(connection: Connection) -> dict[str, list[str]]:
        metadata = MetaData()
        metadata.reflect(connection)
        return {
            name: sorted(repr(tuple(row)) for row in connection.execute(select(table)))
            for name, table in metadata.tables.items()
            if name not in UNTOLD | but
        }

    return await database.read(read)
