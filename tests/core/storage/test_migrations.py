"""One of several processes brings a schema up to date."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, event, inspect
from sqlalchemy.engine import URL

from strongroom.core.guard import tables as _guard  # noqa: F401 - its tables are part of the metadata
from strongroom.core.intents import tables as _intents  # noqa: F401 - its table is part of the metadata
from strongroom.core.security.trail.lanes import LANES
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.core.storage.migrations import CORE, MYSQL_LOCK, Revisions, migrate
from support.databases import execute_elsewhere
from support.mariadb import MariaDB
from support.processes import python

NEWEST = str(CORE.script.get_current_head())
Elsewhere = Callable[[str], list[list[str]]]


async def table_names(database: Database) -> set[str]:
    return set(await database.read(lambda connection: inspect(connection).get_table_names()))


async def test_the_core_s_tables_are_what_its_metadata_says(database: Database) -> None:
    def differences(connection: Connection) -> object:
        def of_the_core(_object: object, name: str | None, kind: str, *_: object) -> bool:
            return kind != "table" or name != CORE.version_table

        options = {"compare_type": True, "include_object": of_the_core}
        return compare_metadata(MigrationContext.configure(connection, opts=options), tables.metadata)

    assert await database.read(differences) == []


async def test_a_new_database_has_the_heads_of_all_lanes(database: Database, elsewhere: Elsewhere) -> None:
    assert await table_names(database) == {*tables.metadata.tables, CORE.version_table}
    heads = elsewhere("SELECT lane, number, hex(hash) FROM strongroom_audit_lane ORDER BY lane")
    assert heads == [[str(lane), "0", "00" * 32] for lane in range(-1, LANES)]
    assert elsewhere("SELECT version_num FROM strongroom_version_core") == [[NEWEST]]


@contextmanager
def statements_recorded() -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def test_a_second_time_changes_nothing(database: Database) -> None:
    with statements_recorded() as seen:
        await migrate(database, [])
    changing = ("CREATE", "ALTER", "DROP", "INSERT", "UPDATE", "DELETE")
    assert seen
    assert [statement for statement in seen if statement.lstrip().upper().startswith(changing)] == []


MIGRATE = """
import asyncio, sys, time
from pathlib import Path
from sqlalchemy.engine import make_url
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import migrate

async def main():
    database = Database(make_url(sys.argv[1]))
    await migrate(database, [])
    await database.close()

print("loaded", flush=True)
deadline = time.monotonic() + 20
while not Path(sys.argv[2]).exists() and time.monotonic() < deadline:
    time.sleep(0.001)
asyncio.run(main())
"""


def test_processes_that_start_together_migrate_once(
    database_url: URL, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    start = tmp_path / "start"
    url = database_url.render_as_string(hide_password=False)
    with ExitStack() as stack:
        processes = [stack.enter_context(python(MIGRATE, url, str(start))) for _ in range(3)]
        for process in processes:
            process.wait_for("loaded")
        start.touch()
        failed = [process.logs() for process in processes if process.wait_end() != 0]
    assert failed == []
    assert elsewhere("SELECT COUNT(*), SUM(sequence) FROM strongroom_audit_lane") == [["257", "0"]]
    assert elsewhere("SELECT version_num FROM strongroom_version_core") == [[NEWEST]]


async def test_the_lock_is_held_until_the_version_is_committed(mariadb: MariaDB) -> None:
    """The next in line must see what the first did, or it would do it again."""
    url = mariadb.new_database()
    database = Database(url)
    found: list[list[str]] = []

    def next_in_line() -> None:
        versions = "SELECT version_num FROM strongroom_version_core"
        lock = f"SELECT GET_LOCK('{MYSQL_LOCK}', 20)"
        found.extend(execute_elsewhere(url, f"{lock}; {versions}"))

    def dawdle(_connection: object) -> None:
        thread.join(1)

    thread = threading.Thread(target=next_in_line)

    def start(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if f"INSERT INTO {CORE.version_table}" in statement:
            thread.start()

    event.listen(Engine, "after_cursor_execute", start)
    event.listen(Engine, "commit", dawdle)
    try:
        await migrate(database, [])
    finally:
        event.remove(Engine, "after_cursor_execute", start)
        event.remove(Engine, "commit", dawdle)
    thread.join()
    await database.close()
    assert found == [["1"], [NEWEST]]


REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "pets_0001"
down_revision = None

def upgrade() -> None:
    op.create_table("cat", sa.Column("id", sa.Integer, primary_key=True))
    {then}
"""


def pets(folder: Path, then: str = "") -> Revisions:
    folder.mkdir(exist_ok=True)
    (folder / "r0001_pets.py").write_text(REVISION.format(then=then))
    return Revisions(component="pets", folder=folder)


async def test_a_component_brings_its_own_tables_after_the_core_s(
    database_url: URL, tmp_path: Path, elsewhere: Elsewhere
) -> None:
    database = Database(database_url)
    component = pets(tmp_path / "pets", 'op.execute("UPDATE strongroom_audit_lane SET sequence = 0")')
    await migrate(database, [component])
    await migrate(database, [component])
    assert await table_names(database) == {
        *tables.metadata.tables,
        CORE.version_table,
        "cat",
        "strongroom_version_pets",
    }
    assert elsewhere("SELECT version_num FROM strongroom_version_pets") == [["pets_0001"]]
    await database.close()


async def test_on_sqlite_a_revision_that_fails_leaves_nothing(tmp_path: Path) -> None:
    database = Database(sqlite_url(str(tmp_path / "test.sqlite3")))
    with pytest.raises(Exception, match="nothing_of_this_name"):
        await migrate(database, [pets(tmp_path / "broken", 'op.execute("DROP TABLE nothing_of_this_name")')])
    assert await table_names(database) == set()
    await migrate(database, [pets(tmp_path / "mended")])
    assert "cat" in await table_names(database)
    await database.close()


async def test_other_tables_of_the_database_are_left_alone(database_url: URL, elsewhere: Elsewhere) -> None:
    elsewhere("CREATE TABLE account (id INTEGER PRIMARY KEY); INSERT INTO account VALUES (7)")
    database = Database(database_url)
    await migrate(database, [])
    await database.close()
    assert elsewhere("SELECT id FROM account") == [["7"]]


async def test_databases_that_are_migrated_at_once_do_not_meet(
    database_url: URL, tmp_path: Path, elsewhere: Elsewhere
) -> None:
    """There is one `alembic.op` in a process, and ledgers start together."""
    url = database_url
    others = [Database(sqlite_url(str(tmp_path / f"other-{number}.sqlite3"))) for number in range(4)]
    database = Database(url)
    component = pets(tmp_path / "pets")
    await asyncio.gather(*(migrate(each, [component]) for each in (database, *others)))
    for each in (database, *others):
        assert {"cat", *tables.metadata.tables} <= await table_names(each)
        await each.close()
    assert elsewhere("SELECT version_num FROM strongroom_version_pets") == [["pets_0001"]]


def test_every_revision_of_the_core_has_a_number_of_its_own() -> None:
    """Two changes that meet may both have taken the next number, and nothing that only reads the code would see it."""
    files = sorted(Path(CORE.script.versions).glob("r*.py"))
    numbers = [one.name[1:5] for one in files]
    assert numbers == [f"{number:04}" for number in range(1, len(files) + 1)]
    assert [f"core_{number}" for number in numbers] == sorted(
        one.revision for one in CORE.script.walk_revisions()
    )
