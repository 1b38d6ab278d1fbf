"""Which version of the key-encryption key each row of a ledger needs."""

from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from strongroom.core.security.bindings import HeldRow
from strongroom.core.security.holdings import Holdings
from strongroom.core.security.keys.ring import KeyRing
from strongroom.core.storage import tables


class RowNeeds:
    def __init__(self, holdings: Holdings, ring: KeyRing) -> None:
        """The ring is open."""
        self._holdings = holdings
        self._ring = ring

    def count_each(self, connection: Connection) -> dict[int, int]:
        """How many rows need each version of the key."""
        found: dict[int, int] = {}
        tags = self._versions_of_tags(connection)
        for row in self._holdings.rows(connection):
            version = self._version_of(row, tags)
            if version is not None:
                found[version] = found.get(version, 0) + 1
        return found

    def count_others(self, connection: Connection, version: int) -> int:
        """How many rows are bound with another version of the key."""
        columns = tables.binding.c
        query = select(func.count()).where(
            columns.table_name == self._holdings.kind.table, columns.key_version != version
        )
        return int(connection.execute(query).scalar_one())

    def others(self, connection: Connection, version: int) -> list[str]:
        """The names of the rows that need another version of the key."""
        tags = self._versions_of_tags(connection)
        rows = self._holdings.rows(connection)
        return [row.name for row in rows if self._version_of(row, tags) not in {version, None}]

    def has_more(self, connection: Connection, version: int, known: Sequence[str]) -> bool:
        """Whether other rows than those that are known need another version of the key."""
        tags = self._versions_of_tags(connection)
        names = [name for name, found in tags.items() if found != version and name not in {*known}]
        rows = self._holdings.rows(connection, names=names) if names else ()
        return any(self._version_of(row, tags) not in {version, None} for row in rows)

    def _version_of(self, row: HeldRow, tags: dict[str, int]) -> int | None:
        sealed = row.values[-1]
        found = None if sealed is None else self._ring.version_of(sealed)
        return tags.get(row.name) if found is None else found

    def _versions_of_tags(self, connection: Connection) -> dict[str, int]:
        columns = tables.binding.c
        query = select(columns.row_name, columns.key_version).where(
            columns.table_name == self._holdings.kind.table
        )
        return {row.row_name: row.key_version for row in connection.execute(query)}
