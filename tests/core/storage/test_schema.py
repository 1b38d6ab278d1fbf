"""Reads what a schema lacks without changing it; a newer or half migrated schema gives one sentence."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from core.storage.test_migrations import pets
from strongroom.core.errors import NotFound
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.core.storage.migrations import migrate
from strongroom.core.storage.schema import SchemaUnfit, plan, require_current

Elsewhere = Callable[[str], list[list[str]]]


@pytest.fixture
def looking(database_url: URL) -> Database:
    return Database(database_url, read_only=True)


def tables_of(url: URL, elsewhere: Elsewhere) -> list[list[str]]:
    if url.get_backend_name() == "sqlite":
        return elsewhere("SELECT name, sql FROM sqlite_master ORDER BY name") if exists(url) else []
    return elsewhere("SHOW TABLES")


def exists(url: URL) -> bool:
    """Whether there is a file of this name: no MariaDB has one."""
    return Path(str(url.database)).exists()


async def test_a_plan_names_every_statement_and_runs_none(
    database_url: URL, looking: Database, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    found = await plan(looking, [pets(tmp_path / "pets")])
    await looking.close()
    assert tables_of(database_url, elsewhere) == []
    assert [state.current for state in found.states] == [None, None]
    steps = {step.revision: step for step in found.steps}
    assert steps["core_0001"].is_whole
    assert any("CREATE TABLE strongroom_audit " in each for each in steps["core_0001"].statements)
    assert any("INSERT INTO strongroom_audit_head" in each for each in steps["core_0001"].statements)
    assert steps["core_0002"].statements[0].startswith("ALTER TABLE strongroom_token ADD")
    assert steps["pets_0001"].statements[0].startswith("CREATE TABLE cat")
    assert not exists(database_url)


async def test_a_plan_tells_the_size_of_what_is_there(
    database_url: URL, database: Database, looking: Database, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    elsewhere("CREATE TABLE old (id INTEGER PRIMARY KEY); INSERT INTO old VALUES (1), (2), (3)")
    if not database.is_sqlite:
        elsewhere("ANALYZE TABLE old")
    before = tables_of(database_url, elsewhere)
    found = await plan(looking, [pets(tmp_path / "pets", 'op.execute("UPDATE old SET id = id + 10")')])
    await looking.close()
    (step,) = found.steps
    assert step.statements[-1] == "UPDATE old SET id = id + 10"
    old = next(size for size in found.sizes if size.name == "old")
    assert (old.rows, old.is_large) == (3, False)
    tells_sizes = not database.is_sqlite or ["ENABLE_DBSTAT_VTAB"] in elsewhere("PRAGMA compile_options")
    assert (old.size is not None) is tells_sizes
    assert (old.size or 4096) >= 4096
    assert tables_of(database_url, elsewhere) == before
    assert elsewhere("SELECT MAX(id) FROM old") == [["3"]]


@pytest.mark.usefixtures("database")
async def test_what_is_up_to_date_needs_nothing(looking: Database) -> None:
    await require_current(looking, [])
    found = await plan(looking, [])
    assert found.steps == ()
    assert [state.pending for state in found.states] == [()]
    await looking.close()


@pytest.mark.usefixtures("database")
async def test_what_is_missing_is_named(looking: Database, tmp_path: Path) -> None:
    with pytest.raises(SchemaUnfit, match=r"lacks pets_0001: run `strongroom migrate`"):
        await require_current(looking, [pets(tmp_path / "pets")])
    await looking.close()


async def test_a_database_without_our_tables_is_no_database_of_ours(
    database_url: URL, looking: Database, elsewhere: Elsewhere
) -> None:
    elsewhere("CREATE TABLE old (id INTEGER PRIMARY KEY)")
    with pytest.raises(NotFound, match="has no tables of Strongroom"):
        await require_current(looking, [])
    await looking.close()
    assert len(tables_of(database_url, elsewhere)) == 1


async def test_a_missing_file_is_not_created(tmp_path: Path) -> None:
    path = tmp_path / "absent.sqlite3"
    database = Database(sqlite_url(str(path)), read_only=True)
    with pytest.raises(NotFound, match=f"There is no database sqlite:///{path}"):
        await require_current(database, [])
    await database.close()
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("revision", ["core_9999", "something of another program"])
async def test_a_newer_schema_is_one_sentence_and_nothing_is_touched(
    database: Database, looking: Database, elsewhere: Elsewhere, tmp_path: Path, revision: str
) -> None:
    elsewhere(f"UPDATE strongroom_version_core SET version_num = '{revision}'")  # noqa: S608 - our own words
    component = pets(tmp_path / "pets")
    for attempt in (migrate(database, [component]), require_current(looking, [component])):
        with pytest.raises(SchemaUnfit, match=f"newer than this version of Strongroom: revision {revision}"):
            await attempt
    await looking.close()
    assert "cat" not in {name for name, *_ in tables_of(database.url, elsewhere)}


async def test_a_newer_component_stops_the_others_too(
    database: Database, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    component = pets(tmp_path / "pets")
    await migrate(database, [component])
    elsewhere("UPDATE strongroom_version_pets SET version_num = 'pets_0002'")
    elsewhere("UPDATE strongroom_version_core SET version_num = 'core_0001'")
    with pytest.raises(SchemaUnfit, match="pets_0002 of pets is not known here, pets_0001 is the last one"):
        await migrate(database, [component])
    assert elsewhere("SELECT version_num FROM strongroom_version_core") == [["core_0001"]]


async def test_a_table_of_another_program_is_one_sentence(
    database: Database, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    elsewhere("CREATE TABLE cat (name VARCHAR(20))")
    component = pets(tmp_path / "pets")
    with pytest.raises(
        SchemaUnfit, match=r"migration of pets from nothing finds tables .* Restore the backup"
    ):
        await migrate(database, [component])


async def test_lost_tables_are_one_sentence(database: Database, elsewhere: Elsewhere) -> None:
    elsewhere("UPDATE strongroom_version_core SET version_num = 'core_0001'")
    elsewhere("DROP TABLE strongroom_token")
    with pytest.raises(SchemaUnfit, match="migration of core from core_0001 finds tables"):
        await migrate(database, [])


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


async def test_reading_alone_leaves_no_trace_in_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    folder.mkdir()
    url = sqlite_url(str(folder / "a % copy?.sqlite3"))
    database = Database(url)
    await migrate(database, [])
    await database.close()
    before = contents(folder)
    (folder / "a % copy?.sqlite3").chmod(0o400)
    folder.chmod(0o500)
    looking = Database(url, read_only=True)
    await require_current(looking, [])
    assert (await plan(looking, [])).sizes
    with pytest.raises(RuntimeError):
        await looking.write(lambda connection: connection.exec_driver_sql("SELECT 1"))
    await looking.close()
    folder.chmod(0o700)
    assert contents(folder) == before


@pytest.mark.usefixtures("database")
async def test_reading_alone_sees_what_a_running_service_has_stored(
    looking: Database, elsewhere: Elsewhere
) -> None:
    elsewhere("UPDATE strongroom_audit_lane SET sequence = 7 WHERE lane = 1")
    found = await looking.read(
        lambda connection: connection.exec_driver_sql(
            "SELECT sequence FROM strongroom_audit_lane WHERE lane = 1"
        ).scalar()
    )
    assert found == 7
    await looking.close()
