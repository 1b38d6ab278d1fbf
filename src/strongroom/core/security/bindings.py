"""Binds sealed values to their rows, so that someone who can write the database cannot move them.

A sealed value in the original's layout opens in any row: putting back an old one would unlock a locked wallet, and the values of
two wallets could be exchanged. So every row with secrets has a tag in a table of ours:

    HMAC-SHA256(key, table, row's name, sequence, each column's value or NULL)

`key` is derived from a key-encryption key, whose version the tag's row names, so a tag cannot be made with access to the database
alone. The version is that of the key that opens the row, or the current one for a row without a sealed value. When the
key-encryption key is changed, all tags are made anew, so that no tag needs a key that was removed. `sequence` is the number
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
from strongroom.core.errors import Conflict, VaultError
from strongroom.core.security.keys.ring import KeyRing
from strongroom.core.security.keys.versions import KeyState
from strongroom.core.security.rows.tag import encoded, row_tag
from strongroom.core.security.vault import KEY_CHECK_PURPOSE
from strongroom.core.storage import tables
from strongroom.core.storage.database import holding, upsert

PURPOSE: Final = KEY_CHECK_PURPOSE
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

    def __init__(self, ring: KeyRing, kind: Kind) -> None:
        self._ring = ring
        self._kind = kind
        self._one = _tags_of(kind).where(tables.binding.c.id == bindparam("binding_id"))
        self._some = _tags_of(kind).where(tables.binding.c.id.in_(bindparam("binding_ids", expanding=True)))
        self._all = _tags_of(kind).where(tables.binding.c.table_name == kind.table)

    def bind(self, connection: Connection, rows: Iterable[HeldRow], sequence: int) -> None:
        """Writes the tags of rows with these values. `sequence` names the audit row of the change."""
        self._write(connection, [(row, sequence) for row in rows])

    def bind_again(self, connection: Connection, rows: Iterable[tuple[HeldRow, int]]) -> None:
        """Makes the tags of rows anew, each with the sequence that it has, after they were sealed under another key."""
        self._write(connection, rows)

    def sound(self, connection: Connection, rows: Sequence[HeldRow]) -> dict[str, int]:
        """The sequences in the tags of those rows that are as the service wrote them, by the rows' names."""
        ids = {self._id(row.name): row for row in rows}
        found = connection.execute(self._some, {"binding_ids": list(ids)})
        return {row.row_name: row.sequence for row in found if self._problem(ids[row.id], row) is None}

    def _write(self, connection: Connection, rows: Iterable[tuple[HeldRow, int]]) -> None:
        values, versions = [], set()
        for row, sequence in rows:
            version = self._version(row)
            versions.add(version)
            values.append(
                {
                    "id": self._id(row.name),
                    "table_name": self._kind.table,
                    "row_name": row.name,
                    "sequence": sequence,
                    "tag": self._tag(row, sequence, version),
                    "key_version": version,
                }
            )
        _require_live(connection, versions)
        for some in chunks(values, CHUNK):
            upsert(connection, tables.binding, some, ["sequence", "tag", "key_version"])

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
        try:
            good = self._tag(row, found.sequence, found.key_version)
        except VaultError as error:
            return f"cannot be checked: {error.message}"
        if found.row_name != row.name or not hmac.compare_digest(found.tag, good):
            return "was altered in the database"
        if found.is_old:
            return "was replaced in the database by an older version of itself"
        return None

    def _id(self, name: str) -> bytes:
        return hashlib.sha256(encoded([self._kind.table.encode(), name.encode()])).digest()

    def _version(self, row: HeldRow) -> int:
        """The version of the key that the row needs."""
        sealed = row.values[-1]
        found = None if sealed is None else self._ring.version_of(sealed)
        return self._ring.version if found is None else found

    def _tag(self, row: HeldRow, sequence: int, version: int) -> bytes:
        key = self._ring.derive(version, PURPOSE)
        columns = dict(zip(self._kind.columns, row.values, strict=True))
        return row_tag(key, self._kind.table, row.name, sequence, columns)


def _require_live(connection: Connection, versions: set[int]) -> None:
    """Makes sure that no row is bound with a key that was retired while the caller did its work.

    Raises:
        Conflict: it was.
    """
    rows = connection.execute(_STATES, {"versions": sorted(versions)})
    if any(row.state == KeyState.RETIRED for row in rows):
        raise Conflict("The key-encryption key was changed meanwhile: try again", code="key_changed")


_STATES = holding(
    select(tables.key.c.state).where(tables.key.c.version.in_(bindparam("versions", expanding=True)))
)


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
    return select(
        columns.id,
        columns.row_name,
        columns.sequence,
        columns.tag,
        columns.key_version,
        is_old.label("is_old"),
    )
