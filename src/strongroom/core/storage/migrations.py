"""Brings a database's schema up to date at start. If several processes start together, one of them does it.

Every component (the core and each ledger) has its own folder of Alembic revisions and its own version table. A released
revision is never changed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import structlog
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from sqlalchemy import Connection, text

from strongroom.core.errors import StrongroomError, Unavailable
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import DatabaseRefused, DatabaseUnusable, Duplicate
from strongroom.core.storage.resume import resumable
from strongroom.core.storage.schema import (
    CORE,
    Revisions,
    SchemaState,
    SchemaUnfit,
    large_tables,
    one_at_a_time,
    read_state,
    shown,
)

__all__ = ["CORE", "MYSQL_LOCK", "Revisions", "migrate"]

log = structlog.get_logger(__name__)

MYSQL_LOCK = "strongroom_migrate"
LOCK_WAIT_S = 60
MISSING = frozenset({1, 1054, 1146})
"""The error numbers of SQLite and MySQL for a missing table or column."""


async def migrate(database: Database, components: Sequence[Revisions]) -> None:
    """Applies the missing revisions, the core's first, under a lock in the database.

    On SQLite the lock is one write transaction around everything. On MySQL it is a named lock, because MySQL commits each DDL
    statement by itself; a run that is killed there is taken up where it ended (resume.py).

    Raises:
        Unavailable: the database cannot be used.
        SchemaUnfit: the schema is newer than this version, or another program has changed it.
    """

    def work(connection: Connection) -> None:
        with _lock(connection):
            # All states are read first, so that a schema that is newer in one part is not changed in another.
            states = [read_state(connection, component) for component in (CORE, *components)]
            _warn_if_long(connection, states)
            for component, state in zip((CORE, *components), states, strict=True):
                _upgrade(connection, component, state)

    try:
        # Before taking the turn, so that a database that does not answer does not delay this process's other databases.
        await database.read(lambda connection: connection.exec_driver_sql("SELECT 1").all())
        async with one_at_a_time():
            await database.write(work, answer_s=None)
    except Unavailable as error:
        raise Unavailable(f"The database {shown(database)} cannot be used: {_reason(error)}") from error
    except SchemaUnfit as error:
        raise SchemaUnfit(f"{shown(database)}: {error.message}") from error


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
def _lock(connection: Connection) -> Iterator[None]:
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


def _upgrade(connection: Connection, component: Revisions, state: SchemaState) -> None:
    """Runs the missing revisions of one component.

    Raises:
        SchemaUnfit: the existing tables are not as the revision expects.
    """
    script = component.script

    def steps(revision: Any, _context: object) -> Any:
        return script._upgrade_revs("head", revision)  # noqa: SLF001 - what alembic's own `upgrade` command passes

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
