"""The versions of a ledger's key-encryption key, as its database knows them. The keys themselves are not in it.

READY       given to the processes, and nothing is sealed under it yet
ACTIVE      new values are sealed under it; there is exactly one
REPLACED    another one follows it; rows may still be sealed under it
RETIRED     nothing needs it any more
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from strongroom.core.storage import tables
from strongroom.core.storage.database import insert_ignore, locking

STATE_ID = 1


class KeyState(StrEnum):
    READY = "ready"
    ACTIVE = "active"
    REPLACED = "replaced"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyVersion:
    """One row of `strongroom_key`."""

    version: int
    state: KeyState
    check: bytes = field(repr=False)
    created_at_ms: int
    backend: str | None = None
    """The backend that sealed `wrapped`, as it names itself; None: the key is in a variable or a file."""
    wrapped: bytes | None = field(default=None, repr=False)


def load_versions(connection: Connection, *, lock: bool = False) -> list[KeyVersion]:
    """All versions, the oldest first. `lock` keeps other transactions from changing them until this one ends."""
    query = select(tables.key).order_by(tables.key.c.version)
    return [_version(row) for row in connection.execute(locking(query) if lock else query)]


def add_version(connection: Connection, added: KeyVersion) -> None:
    """Adds a version, unless there is one of this number."""
    row = {
        "version": added.version,
        "state": added.state,
        "key_check": added.check,
        "backend": added.backend,
        "wrapped": added.wrapped,
        "created_at_ms": added.created_at_ms,
    }
    insert_ignore(connection, tables.key, [row])


def set_state(connection: Connection, version: int, state: KeyState) -> None:
    connection.execute(update(tables.key).where(tables.key.c.version == version).values(state=state))


def remove_version(connection: Connection, version: int) -> None:
    """Removes a version that nothing was ever sealed under."""
    connection.execute(delete(tables.key).where(tables.key.c.version == version))


def replace_wrapped(connection: Connection, version: int, old: bytes, new: bytes) -> bool:
    """Stores another wrapping of the same key; False: the stored one is not `old` any more."""
    columns = tables.key.c
    changed = update(tables.key).where(columns.version == version, columns.wrapped == old)
    return connection.execute(changed.values(wrapped=new)).rowcount == 1


def set_active(connection: Connection, version: int, check: bytes, now_ms: int) -> None:
    """Makes a version the active one, whatever was active before; what was live stays readable as REPLACED."""
    known = load_versions(connection, lock=True)
    for one in known:
        if one.version != version and one.state is KeyState.ACTIVE:
            set_state(connection, one.version, KeyState.REPLACED)
    if version not in {one.version for one in known}:
        added = KeyVersion(version=version, state=KeyState.ACTIVE, check=check, created_at_ms=now_ms)
        add_version(connection, added)
    else:
        set_state(connection, version, KeyState.ACTIVE)


def active_of(versions: Sequence[KeyVersion]) -> KeyVersion | None:
    return next((one for one in versions if one.state is KeyState.ACTIVE), None)


def key_check(connection: Connection) -> bytes | None:
    """The check of the key that the database is bound with; None: it was never bound, or somebody removed the record."""
    state = connection.execute(select(tables.binding_state)).first()
    return None if state is None else state.key_check


def lock_state(connection: Connection) -> bytes | None:
    """Locks the database's record of its key until the transaction ends, and returns the key check in it."""
    state = connection.execute(locking(select(tables.binding_state))).first()
    return None if state is None else state.key_check


def set_key_check(connection: Connection, check: bytes) -> None:
    """Records that the database is bound with the key of this check."""
    values = {"key_check": check}
    the_record = tables.binding_state.c.id == STATE_ID
    if connection.execute(select(tables.binding_state.c.id).where(the_record)).first() is None:
        connection.execute(tables.binding_state.insert(), {"id": STATE_ID, **values})
    else:
        connection.execute(update(tables.binding_state).where(the_record).values(values))


def _version(row: Row[Any]) -> KeyVersion:
    return KeyVersion(
        version=row.version,
        state=KeyState(row.state),
        check=row.key_check,
        created_at_ms=row.created_at_ms,
        backend=row.backend,
        wrapped=row.wrapped,
    )
