"""Seals the rows of a ledger anew, under its active key-encryption key, in small transactions."""

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, select

from strongroom.core.security.bindings import Bindings, HeldRow
from strongroom.core.security.custody.keeping import Keeping
from strongroom.core.security.custody.needs import RowNeeds
from strongroom.core.security.custody.seal import require_unsealed
from strongroom.core.security.keys.ring import KeyRing
from strongroom.core.security.vault import NONCE_BYTES, seal
from strongroom.core.storage import tables

CHUNK: Final = 100

Advance = Callable[[int, int], None]
"""Is told how many rows are done, of how many."""


def untold(_done: int, _total: int) -> None:
    """Nobody follows how far it is."""


class Resealing:
    def __init__(self, keeping: Keeping, ring: KeyRing, needs: RowNeeds) -> None:
        """The ring is open."""
        self._holdings = keeping.holdings
        self._database = keeping.database
        self._entropy = keeping.entropy
        self._ring = ring
        self._needs = needs
        self._bindings = Bindings(ring, keeping.holdings.kind)

    async def run(self, version: int, advance: Advance = untold) -> int:
        """Seals every row anew that needs another version and is not refused; returns how many.

        Raises:
            Sealed: the ledger was sealed meanwhile. What was done stays done.
        """
        total = await self._database.read(lambda connection: self._needs.count_others(connection, version))
        done, after = 0, b""
        while True:

            def work(connection: Connection, after: bytes = after) -> tuple[int, bytes | None]:
                return self._seal_some(connection, version, after)

            count, last = await self._database.write(work)
            if last is None:
                return done
            done, after = done + count, last
            advance(done, max(total, done))

    def _seal_some(self, connection: Connection, version: int, after: bytes) -> tuple[int, bytes | None]:
        """Seals the next rows anew; returns how many, and the id of the last tag that it looked at."""
        require_unsealed(connection, self._holdings.kind.table)
        columns = tables.binding.c
        query = (
            select(columns.id, columns.row_name)
            .where(
                columns.table_name == self._holdings.kind.table,
                columns.key_version != version,
                columns.id > after,
            )
            .order_by(columns.id)
            .limit(CHUNK)
        )
        tags = connection.execute(query).all()
        if not tags:
            return 0, None
        rows = self._holdings.rows(connection, names=[tag.row_name for tag in tags], lock=True)
        sequences = self._bindings.sound(connection, rows)
        changes, fresh = [], []
        for row in rows:
            if row.name not in sequences:
                continue  # it is refused; an operator decides about it
            sealed = self._sealed_anew(row, version)
            if sealed is not None:
                changes.append((row, sealed))
            values = row.values if sealed is None else (*row.values[:-1], sealed)
            fresh.append((HeldRow(name=row.name, values=values), sequences[row.name]))
        if changes:
            self._holdings.replace(connection, changes)
        self._bindings.bind_again(connection, fresh)
        return len(fresh), tags[-1].id

    def _sealed_anew(self, row: HeldRow, version: int) -> bytes | None:
        """The row's sealed value under the version; None: it has none, or is sealed under it already."""
        sealed = row.values[-1]
        if sealed is None or self._ring.version_of(sealed) == version:
            return None
        nonce = self._entropy.token(NONCE_BYTES)
        return seal(self._ring.key(version).reveal(), self._ring.unseal(sealed), nonce)
