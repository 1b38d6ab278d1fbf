"""The statements by which the revisions of the core and of every ledger make a fresh database.

Record those of a new revision with `.venv/bin/python -m support.schema_statements` in tests/.
"""

import asyncio
import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, event
from sqlalchemy.engine import URL

from strongroom.core.storage.database import Database, sqlite_url
from strongroom.core.storage.migrations import migrate
from strongroom.core.storage.schema import CORE
from strongroom.registry import OWN
from support.mariadb import running_mariadb

FOLDER = Path(__file__).parents[1] / "vectors" / "schema"
CHANGING = ("ALTER", "CREATE", "DELETE", "DROP", "INSERT", "RENAME", "UPDATE")
LOCK = re.compile(r"\b(?:INTO|UPDATE|EXISTS) strongroom_lease\b")
"""The lock under which one process migrates is no part of a revision."""
REVISION = re.compile(r"^(?:INSERT INTO|UPDATE) strongroom_version_\w+ .*?'(\w+)'")
COMPONENTS = {CORE.component: CORE, **{ledger.name: ledger.revisions for ledger in OWN}}
Statements = dict[str, list[str]]
"""By revision, in alphabetical order."""


async def statements_of(url: URL, component: str) -> Statements:
    """Migrates an empty database, and returns what changed it."""
    database = Database(url)
    components = [] if component == CORE.component else [COMPONENTS[component]]
    try:
        with _noted() as noted:
            await migrate(database, components)
    finally:
        await database.close()
    found: Statements = {}
    current: list[str] = []
    for statement in noted:
        if (ended := REVISION.match(statement)) is not None:
            found[ended[1]], current = current, []
        elif not statement.startswith("CREATE TABLE strongroom_version_"):
            current.append(statement)
    # SQLAlchemy keeps the indexes of a table in a set, so that their order is left to chance.
    return {name: sorted(made) for name, made in found.items() if name.startswith(f"{component}_")}


@contextmanager
def _noted() -> Iterator[list[str]]:
    noted: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.lstrip().upper().startswith(CHANGING) and not LOCK.search(statement):
            noted.append(" ".join(statement.split()))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield noted
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def recorded(engine: str) -> Statements:
    statements: Statements = json.loads((FOLDER / f"{engine}.json").read_text())
    return statements


def record(engine: str, fresh: Iterator[URL]) -> None:
    statements: Statements = {}
    for component in COMPONENTS:
        statements |= asyncio.run(statements_of(next(fresh), component))
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{engine}.json").write_text(json.dumps(statements, indent=1) + "\n")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        record("sqlite", (sqlite_url(f"{folder}/{number}.sqlite3") for number in range(len(COMPONENTS))))
    with running_mariadb() as server:
        record("mariadb", iter(server.new_database, None))
