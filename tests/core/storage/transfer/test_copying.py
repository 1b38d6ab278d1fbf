"""A copy has every row of every ledger's tables as it was, on either engine, and is not used before it is complete."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from strongroom.atto.definition import REVISIONS as ATTO
from strongroom.bittensor.definition import REVISIONS as BITTENSOR
from strongroom.core.errors import Conflict
from strongroom.core.revisions import Revisions
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.core.storage.migrations import migrate
from strongroom.core.storage.schema import SchemaUnfit, require_current
from strongroom.core.storage.transfer import copying
from strongroom.core.storage.transfer.comparing import CopyDiffers
from strongroom.core.storage.transfer.copying import Copying
from strongroom.hathor.definition import REVISIONS as HATHOR
from support.databases import execute_elsewhere
from support.filled import ROWS, fill_mysql
from support.mariadb import MariaDB
from support.schema import Schemas

pytestmark = pytest.mark.anyio

INSERT = "INSERT INTO strongroom_lease (name, holder, fence, expires_at_ms) VALUES "
LONG_AGO = "UPDATE strongroom_lease SET expires_at_ms = 0; UPDATE strongroom_replica SET seen_at_ms = 0"


def content(url: URL) -> list[str]:
    """All of a file of SQLite, as statements."""
    with closing(sqlite3.connect(str(url.database))) as connection:
        return sorted(connection.iterdump())


def listing(folder: Path) -> str:
    return " ".join(path.name for path in folder.iterdir())


async def is_usable(url: URL, revisions: Revisions) -> None:
    database = Database(url, pool_size=1)
    try:
        await migrate(database, (revisions,))
        await require_current(database, (revisions,))
    finally:
        await database.close()


class Killed(Exception):
    """The process ended here."""


def dying(after: int) -> copying.Progress:
    """Ends the copy at its step of this number."""
    steps = iter(range(after))

    def progress(*_step: object) -> None:
        if next(steps, None) is None:
            raise Killed

    return progress


@pytest.mark.parametrize(
    "revisions",
    [
        pytest.param(ATTO, id="atto", marks=pytest.mark.slow),
        pytest.param(HATHOR, id="hathor"),  # it has the most kinds of columns
        pytest.param(BITTENSOR, id="bittensor", marks=pytest.mark.slow),
    ],
)
async def test_every_value_of_every_table_there_and_back(
    mariadb: MariaDB, schemas: Schemas, tmp_path: Path, revisions: Revisions
) -> None:
    server = schemas.fill(mariadb.new_database(), (revisions,))
    await fill_mysql(server)
    execute_elsewhere(server, LONG_AGO)
    execute_elsewhere(server, "ALTER TABLE strongroom_outbox AUTO_INCREMENT = 4000")
    first, again = (sqlite_url(str(tmp_path / name)) for name in ("first.sqlite3", "again.sqlite3"))
    copied = await Copying(source=server, target=first, components=(revisions,)).copy()
    assert not copied.left_out
    assert {one.rows for one in copied.tables} == {ROWS}
    back = mariadb.new_database()
    returned = await Copying(source=first, target=back, components=(revisions,)).copy()
    # Hashes are the same on both ways, for they do not depend on the engine.
    assert returned.tables == copied.tables
    await Copying(source=server, target=back, components=(revisions,)).compare()
    await Copying(source=back, target=again, components=(revisions,)).copy()
    assert content(again) == content(first)
    execute_elsewhere(back, "DELETE FROM strongroom_outbox")
    row = "INSERT INTO strongroom_outbox (destination, stream, sequence, payload, created_at_ms) VALUES ('x', 'x', 1, '', 1)"
    for url in (back, first):
        execute_elsewhere(url, row)
        assert execute_elsewhere(url, "SELECT MAX(id) FROM strongroom_outbox") == [["4000"]]
        await is_usable(url, revisions)


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.slow)])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """An empty database."""
    if request.param == "sqlite":
        return sqlite_url(str(tmp_path / "target.sqlite3"))
    server: MariaDB = request.getfixturevalue("mariadb")
    return server.new_database()


async def test_a_killed_copy_is_refused_and_goes_on(
    target: URL, schemas: Schemas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is ended at each of its steps in turn."""
    monkeypatch.setattr("strongroom.core.storage.transfer.rows.FIRST_ROWS", 2)
    monkeypatch.setattr("strongroom.core.storage.transfer.rows.MAX_ROWS", 2)
    source = schemas.fill(sqlite_url(str(tmp_path / "source.sqlite3")), (ATTO,))
    rows = ", ".join(f"('{number:03d}', 'h', {number}, 0)" for number in range(9))
    execute_elsewhere(source, INSERT + rows)
    copy = {"source": source, "target": target, "components": (ATTO,)}
    for steps in (0, 1, 3, 2):  # each time some more of it is done before
        with pytest.raises(Killed):
            await Copying(**copy, progress=dying(steps)).copy()  # type: ignore[arg-type]
        with pytest.raises(SchemaUnfit, match="not complete"):
            await is_usable(target, ATTO)
    other = schemas.fill(sqlite_url(str(tmp_path / "other.sqlite3")), (ATTO,))
    with pytest.raises(Conflict, match="incomplete copy of"):
        await Copying(source=other, target=target, components=(ATTO,)).copy()
    await Copying(**copy).copy()  # type: ignore[arg-type]
    assert execute_elsewhere(target, "SELECT SUM(fence) FROM strongroom_lease") == [["36"]]
    await is_usable(target, ATTO)
    with pytest.raises(Conflict, match="not empty"):
        await Copying(**copy).copy()  # type: ignore[arg-type]
    execute_elsewhere(target, "UPDATE strongroom_lease SET fence = 100 WHERE name = '004'")
    with pytest.raises(CopyDiffers, match=r"strongroom_lease \(9 rows, in the copy 9\)"):
        await Copying(**copy).compare()  # type: ignore[arg-type]


async def test_what_changes_meanwhile_is_found(schemas: Schemas, tmp_path: Path) -> None:
    source = schemas.fill(sqlite_url(str(tmp_path / "source.sqlite3")), (ATTO,))
    execute_elsewhere(source, f"{INSERT} ('a', 'h', 1, 0)")
    target = sqlite_url(str(tmp_path / "target.sqlite3"))

    def change(phase: str, table: str, done: int, total: int) -> None:
        del done, total
        if (phase, table) == ("copy", "strongroom_lease"):
            execute_elsewhere(source, "UPDATE strongroom_lease SET fence = 2")

    with pytest.raises(CopyDiffers, match="strongroom_lease"):
        await Copying(source=source, target=target, components=(ATTO,), progress=change).copy()
    with pytest.raises(SchemaUnfit):
        await is_usable(target, ATTO)
    frozen = sqlite_url(str(tmp_path / "frozen.sqlite3"))
    execute_elsewhere(source, "UPDATE strongroom_lease SET expires_at_ms = 9999999999999, fence = 1")
    with pytest.raises(Conflict, match="uses the database"):
        await Copying(source=source, target=frozen, components=(ATTO,)).copy()
    assert "frozen" not in listing(tmp_path)
    await Copying(source=source, target=frozen, components=(ATTO,), is_used=True, progress=change).copy()
    assert execute_elsewhere(frozen, "SELECT fence FROM strongroom_lease") == [["1"]]
