"""Brings a database's schema up to date at start, once, however many processes start together.

Every component (the core, each ledger) has its own folder of Alembic revisions and its own version table, and
never rewrites a revision that was released.
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
"""A table or a column that is not there, as SQLite and MySQL say it."""


async def migrate(database: Database, components: Sequence[Revisions]) -> None:
    """Applies what is missing, the core's first, under a lock in the database itself.

    SQLite: one write transaction around everything. MySQL: a named lock, because its DDL commits by itself.

    Raises:
        Unavailable: the database does not let us in.
        SchemaUnfit: it is newer than this version, or was migrated by half.
    """

    def work(connection: Connection) -> None:
        with _lock(connection):
            # All are looked at first: what is newer is not touched in any part.
            states = [read_state(connection, component) for component in (CORE, *components)]
            _tell(connection, states)
            for component, state in zip((CORE, *components), states, strict=True):
                _upgrade(connection, component, state)

    try:
        # First, so that a database that is away does not keep the turn from the others of this process.
        await database.read(lambda connection: connection.exec_driver_sql("SELECT 1").all())
        async with one_at_a_time():
            await database.write(work, answer_s=None)
    except Unavailable as error:
        raise Unavailable(f"The database {shown(database)} cannot be used: {_reason(error)}") from error
    except SchemaUnfit as error:
        raise SchemaUnfit(f"{shown(database)}: {error.message}") from error


def _tell(connection: Connection, states: Sequence[SchemaState]) -> None:
    """Logs what may take long, so that the operator knows what the process waits for."""
    pending = [revision for state in states for revision in state.pending]
    if pending and (large := large_tables(connection)):
        log.warning(
            "the schema of a large database is being changed; it may take long",
            revisions=pending,
            tables=large,
        )


def _reason(error: StrongroomError) -> str:
    """Returns the driver's own words where there are any. Only a person sees them, at the start of a process."""
    return str(error.__cause__ or error)


@contextmanager
def _lock(connection: Connection) -> Iterator[None]:
    if connection.dialect.name == "sqlite":
        yield
        return
    if connection.scalar(text(f"SELECT GET_LOCK('{MYSQL_LOCK}', {LOCK_WAIT_S})")) != 1:
        raise Unavailable("Another process is migrating the database and does not end")
    try:
        yield
        connection.exec_driver_sql("COMMIT")  # the next in line must find the versions that were reached
    finally:
        connection.scalar(text(f"SELECT RELEASE_LOCK('{MYSQL_LOCK}')"))


def _upgrade(connection: Connection, component: Revisions, state: SchemaState) -> None:
    """Raises: SchemaUnfit: what is there is in the way."""
    script = component.script

    def steps(revision: Any, _context: object) -> Any:
        return script._upgrade_revs("head", revision)  # noqa: SLF001 - what alembic's own `upgrade` command passes

    try:
        with EnvironmentContext(Config(), script, fn=steps) as environment:
            environment.configure(
                connection=connection, version_table=component.version_table, transactional_ddl=False
            )
            environment.run_migrations()
    except (DatabaseRefused, Duplicate) as error:
        raise _half_migrated(state, error) from error
    except DatabaseUnusable as error:
        if error.number in MISSING:
            raise _half_migrated(state, error) from error
        raise
    log.debug("schema is up to date", component=component.component)


def _half_migrated(state: SchemaState, error: StrongroomError) -> SchemaUnfit:
    return SchemaUnfit(
        f"The migration of {state.component} from {state.current or 'nothing'} meets tables that it did not expect:"
        f" {_reason(error)}. An earlier one was interrupted, or something else changed them. Restore the backup from"
        " before it; a database that was new may be dropped and made again"
    )
