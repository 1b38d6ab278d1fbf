"""Binds sealed values to their rows, so that someone who can write the database cannot move them.

A sealed value in the original's layout opens in any row: putting back an old one would unlock a locked wallet, and the values of
two wallets could be exchanged. So every row with secrets has a tag in a table of ours:

    HMAC-SHA256(key, table, row's name, sequence, each column's value or NULL)

`key` is derived from the key-encryption key, so a tag cannot be made with access to the database alone. `sequence` is the number
of the audit row that records the change. If an old row is put back together with its old tag, the audit trail has a later row for
the same subject, which cannot be removed without breaking the chain. A row without a tag is refused, as is one with a wrong tag.
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, bindparam, delete, exists, select

from strongroom.core.chunks import chunks
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
    """A table whose rows contain secrets."""

    table: str
    columns: tuple[str, ...]
    noun: str
    """The word for a row in messages."""
    actions: tuple[str, ...]
    """The audit actions that change such a row; their subject is the row's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRow:
    """A row with secrets: its name, and the values of the kind's columns in their order."""

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
        """A value that depends only on the key; the database stores it to recognise the key that it was bound with."""
        return hmac.digest(self._key, KEY_CHECK, "sha256")

    def bind(self, connection: Connection, rows: Iterable[HeldRow], sequence: int) -> None:
        """Writes the tags of rows with these values. `sequence` names the audit row of the change."""
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
        for some in chunks(values, CHUNK):
            upsert(connection, tables.binding, some, ["sequence", "tag"])

    def unbind(self, connection: Connection, name: str) -> None:
        """Deletes the tag of a row that is deleted."""
        connection.execute(delete(tables.binding).where(tables.binding.c.id == self._id(name)))

    def holds(self, connection: Connection, row: HeldRow) -> bool:
        """Whether the row is as the service wrote it."""
        found = connection.execute(self._one, {"binding_id": self._id(row.name)}).first()
        return self._problem(row, found) is None

    def require(self, connection: Connection, row: HeldRow) -> None:
        """Makes sure that the row is as the service wrote it.

        Raises:
            VaultError: another program changed the row or put an old one back; its values must not be used.
        """
        found = connection.execute(self._one, {"binding_id": self._id(row.name)}).first()
        problem = self._problem(row, found)
        if problem is not None:
            raise VaultError(f"{self._kind.noun} {row.name} {problem}", code=ALTERED)

    def problems(self, connection: Connection, rows: Sequence[HeldRow]) -> dict[str, str]:
        """The problem of each row that is not as the service wrote it, by the row's name."""
        found = {row.id: row for row in connection.execute(self._all)}
        checked = {row.name: self._problem(row, found.get(self._id(row.name))) for row in rows}
        return {name: problem for name, problem in checked.items() if problem is not None}

    def _problem(self, row: HeldRow, found: Row[Any] | None) -> str | None:
        if found is None:
            return "was not written by this service"
        if found.row_name != row.name or not hmac.compare_digest(found.tag, self._tag(row, found.sequence)):
            return "was altered in the database"
        if found.is_old:
            return "was replaced in the database by an older version of itself"
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
    """Joins the parts, each after its length, so that different lists give different bytes; NULL differs from an empty value."""
    return b"".join(b"\xff" * 4 if part is None else len(part).to_bytes(4, "big") + part for part in parts)
