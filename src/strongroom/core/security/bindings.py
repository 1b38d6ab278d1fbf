"""Binds sealed values to the row that they stand in.

A sealed blob of the original's layout opens wherever it stands: an old one put back would unlock a wallet that was locked,
and those of two wallets could be exchanged. So every row that holds secrets has a tag in a table of ours:

    HMAC-SHA256(key, table, row's name, sequence, each column's value or NULL)

`key` is derived from the key-encryption key, so writing the database is not enough to make a tag. `sequence` is that of the
audit row which tells of the change: an old row put back together with its old tag is betrayed by a later audit row of
the same subject, which cannot be removed without breaking the audit trail's chain.
A row without a tag is refused like one with a wrong tag.
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, bindparam, delete, exists, select

from strongroom.core.errors import VaultError
from strongroom.core.security.vault import KeyEncryptionKey
from strongroom.core.storage import tables
from strongroom.core.storage.database import upsert

PURPOSE: Final = b"strongroom binding v1"
KEY_CHECK: Final = b"key check"
ALTERED: Final = "sealed_row_altered"
CHUNK = 500
ACCEPTED: Final = "vault.accept"
ABANDONED: Final = "vault.abandon"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One table of rows that hold secrets."""

    table: str
    columns: tuple[str, ...]
    noun: str
    """What a row is called in messages."""
    actions: tuple[str, ...]
    """The actions of the audit trail that change such a row; their subject is the row's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRow:
    """A row that holds secrets: its name, and the values of the kind's columns in their order."""

    name: str
    values: tuple[bytes | None, ...] = field(repr=False)


class Bindings:
    """Makes and checks the tags of one kind of row."""

    def __init__(self, key: KeyEncryptionKey, kind: Kind) -> None:
        self._key = key.derive(PURPOSE)
        self._kind = kind
        self._one = _tags_of(kind).where(tables.binding.c.id == bindparam("binding_id"))
        self._all = _tags_of(kind).where(tables.binding.c.table_name == kind.table)

    def key_check(self) -> bytes:
        """Tells whether a database was bound with this key."""
        return hmac.digest(self._key, KEY_CHECK, "sha256")

    def bind(self, connection: Connection, rows: Iterable[HeldRow], sequence: int) -> None:
        """Writes the tags of rows as they now stand. `sequence`: the audit row that tells of the change."""
        values = [
            {
                "id": self._id(row.name),
                "table_name": self._kind.table,
                "row_name": row.name,
                "sequence": sequence,
                "tag": self._tag(row, sequence),
            }
            for row in rows
        ]
        for start in range(0, len(values), CHUNK):
            upsert(connection, tables.binding, values[start : start + CHUNK], ["sequence", "tag"])

    def unbind(self, connection: Connection, name: str) -> None:
        """Deletes the tag of a row that is deleted."""
        connection.execute(delete(tables.binding).where(tables.binding.c.id == self._id(name)))

    def holds(self, connection: Connection, row: HeldRow) -> bool:
        """Whether the row is as the service left it."""
        found = connection.execute(self._one, {"binding_id": self._id(row.name)}).first()
        return self._problem(row, found) is None

    def require(self, connection: Connection, row: HeldRow) -> None:
        """Raises: VaultError: somebody else changed the row, or put an old one back; nothing of it may be used."""
        found = connection.execute(self._one, {"binding_id": self._id(row.name)}).first()
        problem = self._problem(row, found)
        if problem is not None:
            raise VaultError(f"{self._kind.noun} {row.name} {problem}", code=ALTERED)

    def problems(self, connection: Connection, rows: Sequence[HeldRow]) -> dict[str, str]:
        """What is wrong with each row that is not as the service left it."""
        found = {row.id: row for row in connection.execute(self._all)}
        checked = {row.name: self._problem(row, found.get(self._id(row.name))) for row in rows}
        return {name: problem for name, problem in checked.items() if problem is not None}

    def _problem(self, row: HeldRow, found: Row[Any] | None) -> str | None:
        if found is None:
            return "was not written by this service"
        if found.row_name != row.name or not hmac.compare_digest(found.tag, self._tag(row, found.sequence)):
            return "was altered in the database"
        if found.is_old:
            return "was put back in the database as it stood earlier"
        return None

    def _id(self, name: str) -> bytes:
        return hashlib.sha256(_encoded(self._kind.table.encode(), name.encode())).digest()

    def _tag(self, row: HeldRow, sequence: int) -> bytes:
        parts: list[bytes | None] = [
            self._kind.table.encode(),
            row.name.encode(),
            sequence.to_bytes(8, "big"),
        ]
        for column, value in zip(self._kind.columns, row.values, strict=True):
            parts += [column.encode(), value]
        return hmac.digest(self._key, _encoded(*parts), "sha256")


def _tags_of(kind: Kind) -> Select[Any]:
    columns, later = tables.binding.c, tables.audit.c
    is_old = exists(
        select(later.sequence)
        .where(
            later.subject == columns.row_name,
            later.sequence > columns.sequence,
            later.action.in_((*kind.actions, ACCEPTED, ABANDONED)),
        )
        .correlate(tables.binding)
    )
    return select(columns.id, columns.row_name, columns.sequence, columns.tag, is_old.label("is_old"))


def _encoded(*parts: bytes | None) -> bytes:
    """Joins the parts, each after its length, so that no two lists read the same. NULL differs from the empty value."""
    return b"".join(b"\xff" * 4 if part is None else len(part).to_bytes(4, "big") + part for part in parts)
