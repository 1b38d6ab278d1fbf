"""Brings a database's schema up to date at start. If several processes start together, one of them does it.

On MySQL two locks keep the others off. A named lock belongs to a connection, so that it ends with its process; but it is one
server's own. On a cluster's other nodes a row in `strongroom_lease` holds, for some seconds and as often as it is renewed. It is
renewed in the transaction of every step, so that a process that was paused takes no further step.

Every component (the core and each ledger) has its own folder of Alembic revisions and its own version table. A released
revision is never changed.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from typing import Any

import structlog
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    MetaData,
    Table,
    delete,
    event,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.schema import CreateTable

from strongroom.core.errors import OutcomeUnknown, StrongroomError, Unavailable
from strongroom.core.revisions import Revisions
from strongroom.core.runtime.background import cancel_all
from strongroom.core.storage.database import Database, ascii_text, locking
from strongroom.core.storage.errors import DatabaseRefused, DatabaseUnusable, Duplicate
from strongroom.core.storage.resume import resumable
from strongroom.core.storage.rolling.running import Term, not_borne, require_nobody, require_still_nobody
from strongroom.core.storage.schema import (
    CORE,
    SchemaState,
    SchemaUnfit,
    large_tables,
    one_at_a_time,
    read_state,
    read_states,
    shown,
)

__all__ = ["CORE", "MYSQL_LOCK", "Revisions", "migrate"]

log = structlog.get_logger(__name__)

MYSQL_LOCK = "strongroom_migrate"
LOCK_WAIT_S = 60
LEASE = "migration"
LEASE_S = 15.0
LEASE_PAUSE_S = 0.2
DDL = ("ALTER", "CREATE", "DROP", "RENAME", "TRUNCATE")
_LEASES = Table(
    "strongroom_lease",
    MetaData(),
    Column("name", ascii_text(190), primary_key=True),
    Column("holder", ascii_text(64), nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
)
"""As the first revision creates it, which passes over it if it is there."""
_NAMED = _LEASES.c.name == LEASE
MISSING = frozenset({1, 1054, 1146})
"""The error numbers of SQLite and MySQL for a missing table or column."""


async def migrate(
    database: Database, components: Sequence[Revisions], *, copy_of: Mapping[str, str] | None = None
) -> None:
    """Applies the missing revisions, the core's first, under a lock in the database.

    With `copy_of` the database is being filled from another one (`core.storage.transfer`): each component that is named there
    gets that revision, and no other component gets any.

    On SQLite the lock is one write transaction around everything. MySQL commits each DDL statement by itself; a run that is
    killed there is taken up where it ended (resume.py).

    Raises:
        Unavailable: the database cannot be used.
        SchemaUnfit: the schema is newer than this version, or another program has changed it.
        ProcessesRunning: processes work on the database that do not bear a missing revision.
    """
    lease = _Lease(database)
    seen: dict[str, Term] = {}

    def pressing(connection: Connection) -> list[str]:
        return not_borne(components, _states(connection, components, copy_of))

    def work(connection: Connection) -> None:
        # All states are read first, so that a schema that is newer in one part is not changed in another.
        with only_one(connection):
            if any(state.pending for state in _states(connection, components, copy_of)):
                with lease.held(connection):
                    # Again: another node's process may have done it.
                    states = _states(connection, components, copy_of)
                    if stopping := not_borne(components, states):
                        require_still_nobody(connection, database.clock, seen, stopping)
                    _warn_if_long(connection, states)
                    for component, state in zip((CORE, *components), states, strict=True):
                        if state.pending:
                            _upgrade(connection, component, state)

    try:
        # Before taking the turn, so that a database that does not answer does not delay this process's other databases.
        await database.read(lambda connection: connection.exec_driver_sql("SELECT 1").all())
        if stopping := await database.read(pressing):
            seen |= await require_nobody(database, stopping)
        async with one_at_a_time(), lease.renewed():
            await database.write(work, answer_s=None)
    except Unavailable as error:
        raise Unavailable(f"The database {shown(database)} cannot be used: {_reason(error)}") from error
    except SchemaUnfit as error:
        raise type(error)(f"{shown(database)}: {error.message}", code=error.instance_code) from error


def _states(
    connection: Connection, components: Sequence[Revisions], copy_of: Mapping[str, str] | None
) -> list[SchemaState]:
    if copy_of is None:
        return read_states(connection, components)
    return [_until(read_state(connection, one), copy_of.get(one.component)) for one in (CORE, *components)]


def _until(state: SchemaState, last: str | None) -> SchemaState:
    """Of the missing revisions only those up to `last`; None: none of them."""
    missing = state.pending
    return replace(state, pending=missing[: missing.index(last) + 1] if last in missing else ())


def _warn_if_long(connection: Connection, states: Sequence[SchemaState]) -> None:
    """Logs a migration of large tables, so that the operator knows why the start takes long."""
    pending = [revision for state in states for revision in state.pending]
    if pending and (large := large_tables(connection)):
        log.warning(
            "the schema of a large database is being changed; it may take long",
            revisions=pending,
            tables=large,
        )


def _reason(error: StrongroomError) -> str:
    """The driver's own text if there is one. Only the operator sees it, at the start of a process."""
    return str(error.__cause__ or error)


@contextmanager
def only_one(connection: Connection) -> Iterator[None]:
    """Within it, no other process changes the schema over the same server. Raises: Unavailable: one does it for long."""
    if connection.dialect.name == "sqlite":
        yield
        return
    if connection.scalar(text(f"SELECT GET_LOCK('{MYSQL_LOCK}', {LOCK_WAIT_S})")) != 1:
        raise Unavailable(f"Another process has been migrating the database for more than {LOCK_WAIT_S} s")
    try:
        yield
        connection.exec_driver_sql(
            "COMMIT"
        )  # before the lock is released: the next process must see the new versions
    finally:
        connection.scalar(text(f"SELECT RELEASE_LOCK('{MYSQL_LOCK}')"))


class _Lease:
    """The row that keeps processes off that migrate the same database over another of its nodes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._clock = database.clock
        self._token = database.entropy.token(8).hex()
        self._holder: str | None = None

    @contextmanager
    def held(self, connection: Connection) -> Iterator[None]:
        """Waits for the row, and renews it before each DDL statement and at the end.

        It is not given back after an error: then it ends by itself, or another process of the same server takes it.

        Raises:
            Unavailable: another process has it for long, or took it because this one was paused.
        """
        if connection.dialect.name == "sqlite":
            yield
            return

        def renew_before_ddl(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
            if statement.lstrip().upper().startswith(DDL):
                self._renew(connection)
                connection.exec_driver_sql("COMMIT")  # as the statement itself would do

        holder = self._take(connection)
        event.listen(connection, "before_cursor_execute", renew_before_ddl)
        try:
            yield
        finally:
            event.remove(connection, "before_cursor_execute", renew_before_ddl)
        self._renew(connection)
        connection.exec_driver_sql("COMMIT")
        self._holder = None
        connection.execute(delete(_LEASES).where(_NAMED, _LEASES.c.holder == holder))

    @asynccontextmanager
    async def renewed(self) -> AsyncIterator[None]:
        """Renews the row beside a statement that takes long."""
        renewing = asyncio.ensure_future(self._keep())
        try:
            yield
        finally:
            await cancel_all((renewing,))

    def _take(self, connection: Connection) -> str:
        # The named lock is held, so that whoever had the row over this server is gone.
        server = _server_of(connection)
        holder = self._holder = f"{server}/{self._token}"
        if not inspect(connection).has_table(_LEASES.name):
            connection.execute(CreateTable(_LEASES, if_not_exists=True))
        until_s = self._clock.monotonic_s() + LOCK_WAIT_S
        while not self._try(connection, server, holder):
            connection.exec_driver_sql("COMMIT")
            if self._clock.monotonic_s() > until_s:
                raise Unavailable(
                    f"Another process has been migrating the database for more than {LOCK_WAIT_S} s"
                )
            connection.scalar(text(f"SELECT SLEEP({LEASE_PAUSE_S})"))
        connection.exec_driver_sql("COMMIT")
        return holder

    def _try(self, connection: Connection, server: str, holder: str) -> bool:
        values = {"holder": holder, "expires_at_ms": self._expiry_ms()}
        query = select(_LEASES.c.holder, _LEASES.c.expires_at_ms).where(_NAMED)
        row = connection.execute(locking(query)).first()
        if row is None:
            try:
                connection.execute(insert(_LEASES), {"name": LEASE, "fence": 0, **values})
            except Duplicate:
                return False
            return True
        is_over: bool = row.expires_at_ms <= self._clock.now_ms()
        is_free: bool = is_over or row.holder.startswith(f"{server}/")
        if is_free:
            connection.execute(update(_LEASES).where(_NAMED).values(values | {"fence": _LEASES.c.fence + 1}))
        return is_free

    def _renew(self, connection: Connection) -> None:
        """Raises: Unavailable: another process has taken the row."""
        ours = update(_LEASES).where(_NAMED, _LEASES.c.holder == self._holder)
        renewed = ours.values(expires_at_ms=self._expiry_ms(), fence=_LEASES.c.fence + 1)
        if connection.execute(renewed).rowcount == 0:
            raise Unavailable("Another process migrates the database now: this one was silent for too long")

    async def _keep(self) -> None:
        while True:
            await self._clock.sleep(LEASE_S / 4)
            if self._holder is not None:
                # If it does not succeed, the next step of the migration finds that out.
                with suppress(Unavailable, OutcomeUnknown):
                    await self._database.write(self._renew)

    def _expiry_ms(self) -> int:
        return self._clock.now_ms() + int(LEASE_S * 1000)


def _server_of(connection: Connection) -> str:
    """A name of the server that this connection leads to, which no other node of its cluster has."""
    # Galera names each running node. MySQL's servers have an id of their own; MariaDB's do not, and need none without Galera.
    for query in ("SHOW STATUS LIKE 'wsrep_gcomm_uuid'", "SHOW VARIABLES LIKE 'server_uuid'"):
        row = connection.execute(text(query)).first()
        if row is not None and str(row[1]).strip("0-"):
            return hashlib.sha256(str(row[1]).encode()).hexdigest()[:32]
    return "alone"


def _upgrade(connection: Connection, component: Revisions, state: SchemaState) -> None:
    """Runs the missing revisions of one component.

    Raises:
        SchemaUnfit: the existing tables are not as the revision expects.
    """
    script = component.script

    def steps(revision: Any, _context: object) -> Any:
        return script._upgrade_revs(state.pending[-1], revision)  # noqa: SLF001 - what alembic's own `upgrade` command passes

    try:
        with EnvironmentContext(Config(), script, fn=steps) as environment:
            environment.configure(
                connection=connection, version_table=component.version_table, transactional_ddl=False
            )
            with resumable(connection):
                environment.run_migrations()
    except (DatabaseRefused, Duplicate) as error:
        raise _unexpected(state, error) from error
    except DatabaseUnusable as error:
        if error.number in MISSING:
            raise _unexpected(state, error) from error
        raise
    log.debug("schema is up to date", component=component.component)


def _unexpected(state: SchemaState, error: StrongroomError) -> SchemaUnfit:
    return SchemaUnfit(
        f"The migration of {state.component} from {state.current or 'nothing'} finds tables that it did not expect:"
        f" {_reason(error)}. Another program made or changed them, or they were restored in part. Restore the backup"
        " from before the migration; if the database was new, drop it and create it again"
    )
