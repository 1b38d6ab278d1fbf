"""A database as an earlier version of this service left it: its schema by the revisions up to then, its rows from a dump.

The dump is SQLite's; its INSERTs are understood by MariaDB too.
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from sqlalchemy import Connection, column, select, table
from sqlalchemy.engine import URL

from strongroom.core.security.trail.rows import Content, old_hash
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import CORE, Revisions

INSERT = re.compile(r'^INSERT INTO "(\w+)" (VALUES\(.*\);)$', re.DOTALL | re.MULTILINE)
STATEMENT_END = re.compile(r"\);\n(?=INSERT|CREATE|DELETE|COMMIT)")

OLD_COLUMNS = ("sequence", "at_ms", "principal", "action", "subject", "details", "previous_hash", "hash")
OLD_AUDIT = table("strongroom_audit", *map(column, OLD_COLUMNS))
OLD_HEAD = table("strongroom_audit_head", *map(column, ("id", "sequence", "hash")))


async def write_old_database(
    database: Database, ledger: Revisions, heads: Mapping[str, str], dump: Path
) -> None:
    """Makes the database; `heads` are the last revisions of then, by component."""

    def work(connection: Connection) -> None:
        is_sqlite = connection.dialect.name == "sqlite"
        for component in (CORE, ledger):
            _upgrade(connection, component, heads[component.component])
        # The rows come in the order of their tables' names.
        connection.exec_driver_sql(
            "PRAGMA defer_foreign_keys = ON" if is_sqlite else "SET foreign_key_checks = 0"
        )
        for name, values in inserts(dump):
            if not name.startswith("strongroom_version_"):
                # The one row that a revision itself puts there gives way.
                connection.exec_driver_sql(f"REPLACE INTO `{name}` {values}")
        if not is_sqlite:
            connection.exec_driver_sql("SET foreign_key_checks = 1")

    await database.write(work, answer_s=None)


async def write_old_core(database: Database, head: str) -> None:
    """Makes the core's tables as the revision `head` left them, without a ledger's."""
    await database.write(lambda connection: _upgrade(connection, CORE, head), answer_s=None)


def append_old_rows(connection: Connection, *rows: tuple[str, str, str]) -> None:
    """Appends rows of principal, action and subject to an audit trail of before it had lanes, as its version did."""
    head = connection.execute(select(OLD_HEAD)).one()
    sequence, end = head.sequence, head.hash
    for principal, action, subject in rows:
        sequence += 1
        said = Content(at_ms=7, principal=principal, action=action, subject=subject, details="{}")
        own = old_hash(end, sequence, said)
        values = (sequence, 7, principal, action, subject, "{}", end, own)
        connection.execute(OLD_AUDIT.insert(), dict(zip(OLD_COLUMNS, values, strict=True)))
        end = own
    connection.execute(OLD_HEAD.update().values(sequence=sequence, hash=end))


@asynccontextmanager
async def old_core(url: URL, head: str, fill: Callable[[Connection], None]) -> AsyncIterator[Database]:
    """A database with the core's tables as the revision `head` left them, and the rows that `fill` writes."""
    database = Database(url)
    await write_old_core(database, head)
    await database.write(fill)
    yield database
    await database.close()


def inserts(dump: Path) -> list[tuple[str, str]]:
    """Table and VALUES of every row."""
    statements = STATEMENT_END.split(dump.read_text())
    found = [INSERT.match(f"{one.strip()});") for one in statements if one.strip().startswith("INSERT")]
    return [(one[1], one[2].removesuffix(";")) for one in found if one is not None]


def _upgrade(connection: Connection, component: Revisions, head: str) -> None:
    script = component.script

    def steps(revision: Any, _context: object) -> Sequence[Any]:
        found: Sequence[Any] = script._upgrade_revs(head, revision)
        return found

    with EnvironmentContext(Config(), script, fn=steps) as environment:
        environment.configure(
            connection=connection, version_table=component.version_table, transactional_ddl=False
        )
        environment.run_migrations()
