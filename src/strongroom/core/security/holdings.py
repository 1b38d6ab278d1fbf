"""Checks a ledger's key-encryption key against the sealed values in its database, and binds them at the first start.

A key that does not fit the database is refused before it is used: everything sealed under it would be lost when the right key is
put back. For the same reason no new key is made for a database that already contains sealed values.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection, Row, select, update

from strongroom.core.clock import Entropy
from strongroom.core.errors import VaultError
from strongroom.core.security.access import system_principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.bindings import Bindings, HeldRow, Kind
from strongroom.core.security.keys.local import make_secret_file
from strongroom.core.security.keys.source import KeySource
from strongroom.core.security.vault import KeyEncryptionKey, open_sealed
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database, locking

log = structlog.get_logger(__name__)

STATE_ID = 1
BOUND = "vault.bind"
SYSTEM = system_principal("vault")
SHOWN = 3


class Holdings(ABC):
    """The rows with sealed values in one ledger's database. Only the key-encryption key opens a row's last value."""

    kind: Kind

    @abstractmethod
    def rows(self, connection: Connection, *, in_full: bool = False) -> Sequence[HeldRow]:
        """Every row that has a secret or may have one. With `in_full` the rows also have the data that `problem` needs."""

    def is_sealed(self, row: HeldRow) -> bool:
        """Whether the row has a value that only the key-encryption key opens."""
        return row.values[-1] is not None

    def opens(self, key: KeyEncryptionKey, row: HeldRow) -> bool:
        """Whether the key opens a sealed row."""
        try:
            open_sealed(key.reveal(), row.values[-1] or b"")
        except VaultError:
            return False
        return True

    @abstractmethod
    def problem(self, key: KeyEncryptionKey, row: HeldRow) -> str | None:
        """What is wrong with the row's sealed values; None if nothing is. It may take milliseconds."""

    @abstractmethod
    def give_up(self, connection: Connection, row: HeldRow) -> HeldRow:
        """Deletes the row's sealed values that need the key; returns the row as it is then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """The rows with sealed values, and the database's record of its key."""

    rows: Sequence[HeldRow]
    state: Row[Any] | None


async def open_key(
    source: KeySource, database: Database, holdings: Holdings, entropy: Entropy
) -> KeyEncryptionKey:
    """The key that this database is sealed under. For a new installation that keeps its own key, the key is made now.

    Raises:
        VaultError: the key is missing, wrong or weak, or other users may read it; the message says where to look.
    """
    held = await database.read(lambda connection: _held(connection, holdings))
    sealed = [row for row in held.rows if holdings.is_sealed(row)]
    key = source.load()
    if key is None:
        return _new_key(source, held, sealed, entropy)
    await _require_fitting(source, key, holdings, held)
    return key


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """How many rows there are, and how many of them have sealed values."""

    rows: int
    sealed: int


async def inspect_holdings(source: KeySource, database: Database, holdings: Holdings) -> Inspected:
    """Checks the key and every row completely; changes nothing.

    Raises:
        VaultError: something is wrong; the message lists all of it.
    """
    held = await database.read(lambda connection: _held(connection, holdings, in_full=True))
    sealed = [row for row in held.rows if holdings.is_sealed(row)]
    key = source.load()
    if key is None:
        if _needs_key(held, sealed):
            raise _missing(source)
        return Inspected(rows=len(held.rows), sealed=0)
    await _require_fitting(source, key, holdings, held)
    problems: dict[str, str] = {}
    if held.state is not None and held.state.key_check is not None:
        bindings = Bindings(key, holdings.kind)
        problems = await database.read(lambda connection: bindings.problems(connection, held.rows))
    else:
        await database.read(_require_never_bound)
    problems = await problems_of(holdings, key, held.rows) | problems
    if problems:
        listed = "; ".join(f"{name} {why}" for name, why in sorted(problems.items()))
        raise VaultError(f"{len(problems)} of {len(held.rows)} {holdings.kind.noun.lower()}s: {listed}")
    return Inspected(rows=len(held.rows), sealed=len(sealed))


async def _require_fitting(source: KeySource, key: KeyEncryptionKey, holdings: Holdings, held: _Held) -> None:
    """Makes sure that the database was sealed and bound with this key.

    Raises:
        VaultError: it was sealed or bound with another key.
    """
    check = Bindings(key, holdings.kind).key_check()
    if held.state is not None and held.state.key_check == check:
        return  # the key is right; a row that does not open is damaged, and is reported by its name elsewhere
    sealed = [row for row in held.rows if holdings.is_sealed(row)]
    opened = await asyncio.to_thread(lambda: sum(holdings.opens(key, row) for row in sealed))
    noun = holdings.kind.noun.lower()
    if sealed and not opened:
        raise VaultError(
            f"The key in {source.origin} is not the one that this database was sealed with: it opens none of {len(sealed)}"
            f" sealed {noun}s, {_names(sealed)}. {_way_back(source)}",
            code="wrong_key",
        )
    if held.state is None:
        raise VaultError(
            "The database's record of its key-encryption key (strongroom_binding_state) is missing: another program changed"
            f" the database. Restore it, or check every {noun} and run strongroom keys accept {source.ledger} --all",
            code="wrong_key",
        )
    if held.state.key_check is not None:
        raise VaultError(
            f"The key in {source.origin} is not the one that this database was bound with. {_way_back(source)} If it was"
            f" changed on purpose, run strongroom keys accept {source.ledger} --all",
            code="wrong_key",
        )


async def bind_holdings(database: Database, holdings: Holdings, key: KeyEncryptionKey, audit: Audit) -> None:
    """Binds the rows of a database that was never bound: an adopted one, or one of an earlier version.

    A row that does not open, or whose secret does not match the database, is not bound. It is refused until an operator
    accepts or abandons it.

    Raises:
        VaultError: the database was bound before and its record was removed; or another process that started at the same
            time with another key has bound it first.
    """
    held = await database.read(lambda connection: _held(connection, holdings, in_full=True))
    seen = {row.name: row.values for row in held.rows}
    bindings = Bindings(key, holdings.kind)

    def require_same(check: bytes) -> None:
        if check != bindings.key_check():
            raise VaultError(
                "Another process, which started at the same time, uses another key-encryption key: give every replica the"
                f" same one ({holdings.kind.table})",
                code="wrong_key",
            )

    if held.state is not None and held.state.key_check is not None:
        require_same(held.state.key_check)
        return
    problems = await problems_of(holdings, key, held.rows)

    def work(connection: Connection) -> None:
        if (check := lock_state(connection)) is not None:  # another process has bound it meanwhile
            require_same(check)
            return
        _require_never_bound(connection)
        # Only rows that are unchanged since they were checked are bound.
        rows = holdings.rows(connection)
        good = [row for row in rows if seen.get(row.name) == row.values and row.name not in problems]
        facts = {"bound": len(good), "refused": sorted(problems)}
        sequence = audit.append(connection, SYSTEM, BOUND, holdings.kind.table, facts)
        bindings.bind(connection, good, sequence)
        set_key_check(connection, bindings)

    await database.write(work)
    for name, problem in problems.items():
        log.error("a sealed row is refused", row=name, why=problem)


def was_bound(connection: Connection) -> bool:
    """Whether the database was ever bound, by its record of the key, a tag or the audit trail."""
    signs = (
        select(tables.binding_state.c.id).where(tables.binding_state.c.key_check.is_not(None)),
        select(tables.binding.c.id),
        select(tables.audit.c.sequence).where(tables.audit.c.action == BOUND),
    )
    return any(connection.execute(sign.limit(1)).first() for sign in signs)


def _require_never_bound(connection: Connection) -> None:
    """Makes sure that a missing record of the key is that of a database that was never bound.

    Raises:
        VaultError: the database was bound, so the record was removed.
    """
    if was_bound(connection):
        raise VaultError(
            "The database was bound to its key-encryption key before, and the record of it was removed: another program"
            " changed the database. Restore it, or check it and run strongroom keys accept LEDGER --all",
            code="wrong_key",
        )


async def problems_of(holdings: Holdings, key: KeyEncryptionKey, rows: Sequence[HeldRow]) -> dict[str, str]:
    """The problems of the rows' sealed values by the rows' names, without regard to their tags."""

    def work() -> dict[str, str]:
        found = {row.name: holdings.problem(key, row) for row in rows}
        return {name: problem for name, problem in found.items() if problem is not None}

    return await asyncio.to_thread(work)


def lock_state(connection: Connection) -> bytes | None:
    """Locks the database's record of its key until the transaction ends, and returns the key check in it."""
    state = connection.execute(locking(select(tables.binding_state))).first()
    return None if state is None else state.key_check


def set_key_check(connection: Connection, bindings: Bindings) -> None:
    """Records that the database is bound with this key."""
    values = {"key_check": bindings.key_check()}
    the_record = tables.binding_state.c.id == STATE_ID
    if connection.execute(select(tables.binding_state.c.id).where(the_record)).first() is None:
        connection.execute(tables.binding_state.insert(), {"id": STATE_ID, **values})
    else:
        connection.execute(update(tables.binding_state).where(the_record).values(values))


def _held(connection: Connection, holdings: Holdings, *, in_full: bool = False) -> _Held:
    return _Held(
        rows=holdings.rows(connection, in_full=in_full),
        state=connection.execute(select(tables.binding_state)).first(),
    )


def _new_key(source: KeySource, held: _Held, sealed: Sequence[HeldRow], entropy: Entropy) -> KeyEncryptionKey:
    """Makes the installation's own key.

    Raises:
        VaultError: the database was sealed or bound with another key, which is missing.
    """
    if _needs_key(held, sealed):
        raise _missing(source)
    make_secret_file(source.file, entropy)
    key = source.load()
    if key is None:
        raise VaultError(f"{source.file} was removed while the service started", code="key_missing")
    return key


def _needs_key(held: _Held, sealed: Sequence[HeldRow]) -> bool:
    return bool(sealed) or held.state is None or held.state.key_check is not None


def _missing(source: KeySource) -> VaultError:
    return VaultError(
        f"{source.file} does not exist, and the database was sealed with the key in it: put it back, or set"
        f" {source.variable} to its content. If it is lost, see docs/operations.md, A lost key",
        code="key_missing",
    )


def _way_back(source: KeySource) -> str:
    return f"Put back the key that the service used before, in {source.variable} or {source.file}."


def _names(rows: Sequence[HeldRow]) -> str:
    shown = ", ".join(row.name for row in rows[:SHOWN])
    return f"the first are {shown}" if len(rows) > SHOWN else shown
