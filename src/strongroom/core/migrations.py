"""Brings a database's schema up to date at start, once, however many processes start together.

Every component (the core, each ledger) has its own folder of Alembic revisions and its own version table, and
never rewrites a revision that was released.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from strongroom.core.database import Database
from strongroom.core.errors import Unavailable

log = structlog.get_logger(__name__)

MYSQL_LOCK = "strongroom_migrate"
LOCK_WAIT_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Revisions:
    """One component's migrations: `folder` holds the revision files."""

    component: str
    folder: Path

    @property
    def version_table(self) -> str:
        return f"strongroom_version_{self.component}"


CORE = Revisions(component="core", folder=Path(__file__).parent / "revisions")


async def migrate(database: Database, components: Sequence[Revisions]) -> None:
    """Applies what is missing, the core's first, under a lock in the database itself.

    SQLite: one write transaction around everything. MySQL: a named lock, because its DDL commits by itself.

    Raises:
        Unavailable: the database does not let us in.
    """

    def work(connection: Connection) -> None:
        with _lock(connection):
            for component in (CORE, *components):
                _upgrade(connection, component)

    try:
        await database.write(work, answer_s=None)
    except Unavailable as error:
        shown = database.url.render_as_string(hide_password=True)
        raise Unavailable(f"The database {shown} cannot be used: {_reason(error)}") from error


def _reason(error: Unavailable) -> str:
    """The driver's own words where there are some: only a person sees them, at the start of a process."""
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


def _upgrade(connection: Connection, component: Revisions) -> None:
    script = ScriptDirectory(str(component.folder), version_locations=[str(component.folder)])

    def steps(revision: Any, _context: object) -> Any:
        return script._upgrade_revs("head", revision)  # noqa: SLF001 - what alembic's own `upgrade` command passes

    with EnvironmentContext(Config(), script, fn=steps) as environment:
        environment.configure(
            connection=connection, version_table=component.version_table, transactional_ddl=False
        )
        environment.run_migrations()
    log.debug("schema is up to date", component=component.component)
