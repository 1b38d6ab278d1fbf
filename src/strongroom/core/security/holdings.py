"""Opens a ledger's key-encryption key against what its database holds, and binds that at the first start.

A key that does not fit the database is refused before anything is done with it: whatever would be sealed under it meanwhile
is lost when the right one is put back. For the same reason no key is ever made beside rows that another one sealed.
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
    """What one ledger's database holds sealed: rows whose last value only the key-encryption key opens."""

    kind: Kind

    @abstractmethod
    def rows(self, connection: Connection, *, in_full: bool = False) -> Sequence[HeldRow]:
        """Every row that holds a secret, or may. `in_full`: with what `problem` compares it to."""

    def is_sealed(self, row: HeldRow) -> bool:
        """Whether the row holds something that only the key-encryption key opens."""
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
        """What is wrong with what the row holds. It may take milliseconds."""

    @abstractmethod
    def give_up(self, connection: Connection, row: HeldRow) -> HeldRow:
        """Deletes what the row holds sealed; returns the row as it then stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    rows: Sequence[HeldRow]
    state: Row[Any] | None


async def open_key(
    source: KeySource, database: Database, holdings: Holdings, entropy: Entropy
) -> KeyEncryptionKey:
    """The key that this database is sealed under; made when it is the installation's own and there is nothing yet.

    Raises:
        VaultError: it is missing, wrong, weak, or others may read it; the message says where to look.
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
    """How many rows there are, and how many of them hold something sealed."""

    rows: int
    sealed: int


async def inspect_holdings(source: KeySource, database: Database, holdings: Holdings) -> Inspected:
    """Checks the key and every row, whatever it takes; changes nothing.

    Raises:
        VaultError: with everything that is wrong.
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
        told = "; ".join(f"{name} {why}" for name, why in sorted(problems.items()))
        raise VaultError(f"{len(problems)} of {len(held.rows)} {holdings.kind.noun.lower()}s: {told}")
    return Inspected(rows=len(held.rows), sealed=len(sealed))


async def _require_fitting(source: KeySource, key: KeyEncryptionKey, holdings: Holdings, held: _Held) -> None:
    """Raises: VaultError: the key is not the one that the database was sealed, or bound, with."""
    check = Bindings(key, holdings.kind).key_check()
    if held.state is not None and held.state.key_check == check:
        return  # a row that does not open all the same was damaged, and is told of by its name
    sealed = [row for row in held.rows if holdings.is_sealed(row)]
    opened = await asyncio.to_thread(lambda: sum(holdings.opens(key, row) for row in sealed))
    noun = holdings.kind.noun.lower()
    if sealed and not opened:
        raise VaultError(
            f"The key in {source.origin} is not the one that this database was sealed with: none of {len(sealed)} sealed"
            f" {noun}s opens, {_names(sealed)}. {_way_back(source)}",
            code="wrong_key",
        )
    if held.state is None:
        raise VaultError(
            "The database's record of its key-encryption key (strongroom_binding_state) is gone: somebody altered the"
            f" database. Restore it, or look at every {noun} and run strongroom keys accept {source.ledger} --all",
            code="wrong_key",
        )
    if held.state.key_check is not None:
        raise VaultError(
            f"The key in {source.origin} is not the one that this database was bound with. {_way_back(source)} If it was"
            f" changed on purpose, run strongroom keys accept {source.ledger} --all",
            code="wrong_key",
        )


async def bind_holdings(database: Database, holdings: Holdings, key: KeyEncryptionKey, audit: Audit) -> None:
    """Binds what a database holds that was never bound: an adopted one, or one of an earlier version.

    A row that does not open, or opens to something else than the database says, stays as it is: it is refused until an
    operator accepts or abandons it.

    Raises:
        VaultError: the audit trail says that it was bound before; or another process, which started at the same time with
            another key, was quicker.
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
        if (check := lock_state(connection)) is not None:  # another process was quicker
            require_same(check)
            return
        _require_never_bound(connection)
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
    """Whether anything says that the database was ever bound: its record of the key, a tag, the audit trail."""
    signs = (
        select(tables.binding_state.c.id).where(tables.binding_state.c.key_check.is_not(None)),
        select(tables.binding.c.id),
        select(tables.audit.c.sequence).where(tables.audit.c.action == BOUND),
    )
    return any(connection.execute(sign.limit(1)).first() for sign in signs)


def _require_never_bound(connection: Connection) -> None:
    """Raises: VaultError: the record of the key is not there, and once it was."""
    if was_bound(connection):
        raise VaultError(
            "The database was bound to its key-encryption key before, and the record of it was taken away: somebody"
            " altered the database. Restore it, or look at it and run strongroom keys accept LEDGER --all",
            code="wrong_key",
        )


async def problems_of(holdings: Holdings, key: KeyEncryptionKey, rows: Sequence[HeldRow]) -> dict[str, str]:
    """What is wrong with what each row holds, whatever its tag says."""

    def work() -> dict[str, str]:
        found = {row.name: holdings.problem(key, row) for row in rows}
        return {name: problem for name, problem in found.items() if problem is not None}

    return await asyncio.to_thread(work)


def lock_state(connection: Connection) -> bytes | None:
    """Holds the record of the key until the transaction ends; returns what it says."""
    state = connection.execute(locking(select(tables.binding_state))).first()
    return None if state is None else state.key_check


def set_key_check(connection: Connection, bindings: Bindings) -> None:
    """The database is bound with this key from now on."""
    values = {"key_check": bindings.key_check()}
    there = tables.binding_state.c.id == STATE_ID
    if connection.execute(select(tables.binding_state.c.id).where(there)).first() is None:
        connection.execute(tables.binding_state.insert(), {"id": STATE_ID, **values})
    else:
        connection.execute(update(tables.binding_state).where(there).values(values))


def _held(connection: Connection, holdings: Holdings, *, in_full: bool = False) -> _Held:
    return _Held(
        rows=holdings.rows(connection, in_full=in_full),
        state=connection.execute(select(tables.binding_state)).first(),
    )


def _new_key(source: KeySource, held: _Held, sealed: Sequence[HeldRow], entropy: Entropy) -> KeyEncryptionKey:
    """Makes the installation's own key, unless the database needs another one.

    Raises:
        VaultError: it does.
    """
    if _needs_key(held, sealed):
        raise _missing(source)
    make_secret_file(source.file, entropy)
    key = source.load()
    if key is None:
        raise VaultError(f"{source.file} was taken away while the service started", code="key_missing")
    return key


def _needs_key(held: _Held, sealed: Sequence[HeldRow]) -> bool:
    return bool(sealed) or held.state is None or held.state.key_check is not None


def _missing(source: KeySource) -> VaultError:
    return VaultError(
        f"{source.file} is not there, and the database was sealed with the key in it: put it back, or set"
        f" {source.variable} to what it holds. If it is lost, see docs/operations.md, A lost key",
        code="key_missing",
    )


def _way_back(source: KeySource) -> str:
    return f"Put back the one that it was started with before, in {source.variable} or {source.file}."


def _names(rows: Sequence[HeldRow]) -> str:
    shown = ", ".join(row.name for row in rows[:SHOWN])
    return f"the first are {shown}" if len(rows) > SHOWN else shown
