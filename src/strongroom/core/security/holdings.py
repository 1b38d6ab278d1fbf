"""Lists the sealed values in a ledger's database, and binds them at the first start."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence

import structlog
from sqlalchemy import Connection, select

from strongroom.core.errors import VaultError
from strongroom.core.security.access import system_principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.bindings import Bindings, HeldRow, Kind
from strongroom.core.security.keys.ring import KeyRing
from strongroom.core.security.keys.versions import key_check, lock_state, set_key_check
from strongroom.core.security.trail.lanes import exclude_signatures
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database

log = structlog.get_logger(__name__)

BOUND = "vault.bind"
SYSTEM = system_principal("vault")


class Holdings(ABC):
    """The rows with sealed values in one ledger's database. Only the key-encryption key opens a row's last value."""

    kind: Kind

    @abstractmethod
    def rows(
        self,
        connection: Connection,
        *,
        in_full: bool = False,
        names: Collection[str] | None = None,
        lock: bool = False,
    ) -> Sequence[HeldRow]:
        """Every row that has a secret or may have one, or those of these names.

        With `in_full` the rows also have the data that `problem` needs. `lock` locks them until the transaction ends.
        """

    def is_sealed(self, row: HeldRow) -> bool:
        """Whether the row has a value that only the key-encryption key opens."""
        return row.values[-1] is not None

    def opens(self, ring: KeyRing, row: HeldRow) -> bool:
        """Whether a key of the ring opens a sealed row."""
        return ring.version_of(row.values[-1] or b"") is not None

    @abstractmethod
    def problem(self, ring: KeyRing, row: HeldRow) -> str | None:
        """What is wrong with the row's sealed values; None if nothing is. It may take milliseconds."""

    @abstractmethod
    def replace(self, connection: Connection, changes: Sequence[tuple[HeldRow, bytes]]) -> None:
        """Stores another sealed value, the last one, of rows that the caller has read in this transaction.

        A row whose value is not the one that was read any more stays as it is.
        """

    @abstractmethod
    def give_up(self, connection: Connection, row: HeldRow) -> HeldRow:
        """Deletes the row's sealed values that need the key; returns the row as it is then."""


async def bind_holdings(database: Database, holdings: Holdings, ring: KeyRing, audit: Audit) -> None:
    """Binds the rows of a database that was never bound: an adopted one, or one of an earlier version.

    A row that does not open, or whose secret does not match the database, is not bound. It is refused until an operator
    accepts or abandons it.

    Raises:
        VaultError: the database was bound before and its record was removed; or another process that started at the same
            time with another key has bound it first.
    """
    check, found = await database.read(
        lambda connection: (key_check(connection), holdings.rows(connection, in_full=True))
    )
    seen = {row.name: row.values for row in found}
    bindings = Bindings(ring, holdings.kind)

    def require_same(check: bytes) -> None:
        if check != ring.current.check():
            raise VaultError(
                "Another process, which started at the same time, uses another key-encryption key: give every replica the"
                f" same one ({holdings.kind.table})",
                code="wrong_key",
            )

    if check is not None:
        require_same(check)
        return
    problems = await problems_of(holdings, ring, found)

    def work(connection: Connection) -> None:
        if (check := lock_state(connection)) is not None:  # another process has bound it meanwhile
            require_same(check)
            return
        require_never_bound(connection)
        exclude_signatures(connection)
        # Only rows that are unchanged since they were checked are bound.
        rows = holdings.rows(connection)
        good = [row for row in rows if seen.get(row.name) == row.values and row.name not in problems]
        facts = {"bound": len(good), "refused": sorted(problems)}
        sequence = audit.append(connection, SYSTEM, BOUND, holdings.kind.table, facts)
        bindings.bind(connection, good, sequence)
        set_key_check(connection, ring.current.check())

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


def require_never_bound(connection: Connection) -> None:
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


async def problems_of(holdings: Holdings, ring: KeyRing, rows: Sequence[HeldRow]) -> dict[str, str]:
    """The problems of the rows' sealed values by the rows' names, without regard to their tags."""

    def work() -> dict[str, str]:
        found = {row.name: holdings.problem(ring, row) for row in rows}
        return {name: problem for name, problem in found.items() if problem is not None}

    return await asyncio.to_thread(work)
