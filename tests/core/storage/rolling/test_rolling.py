"""What running processes do not bear waits for their end; a process that finds it nevertheless writes nothing more."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from core.storage.test_migrations import pets
from strongroom.core.coordination.lease import Lease, Leases
from strongroom.core.errors import Unavailable
from strongroom.core.revisions import Revisions
from strongroom.core.runtime.telemetry import Status
from strongroom.core.storage import tables
from strongroom.core.storage.check import check_database
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import migrate
from strongroom.core.storage.rolling.running import (
    FORGOTTEN_MS,
    ProcessesRunning,
    read_signs,
    require_still_nobody,
)
from strongroom.core.storage.rolling.watch import STALE_S, SchemaNewer, SchemaWatch, epoch
from support.clock import ManualClock

Elsewhere = Callable[[str], list[list[str]]]

NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "pets_0001"
{mark}

def upgrade() -> None:
    op.add_column("cat", sa.Column("name", sa.Integer))
"""


def add(component: Revisions, revision: str, mark: str = "") -> None:
    (component.folder / "r0002_pets.py").write_text(NEXT.format(revision=revision, mark=mark))


@pytest.fixture
async def component(database: Database, tmp_path: Path) -> Revisions:
    component = pets(tmp_path / "pets")
    await migrate(database, [component])
    return component


@pytest.mark.parametrize(
    ("revision", "number"),
    [
        ("core_0021", 0),
        ("core_e1_0022", 1),
        ("my_toy_e12_7", 12),
        ("given_back", None),
        ("a_0001 and b_0002", None),
        ("", None),
    ],
)
def test_the_id_of_a_revision_names_its_epoch(revision: str, number: int | None) -> None:
    assert epoch(revision) == number


async def test_a_living_process_holds_off_what_it_does_not_bear(
    database: Database, replica: Database, component: Revisions, elsewhere: Elsewhere
) -> None:
    add(component, "pets_e1_0002")
    leases = Leases(replica, replica.clock, holder="host-7:4711:aa")
    held = asyncio.Event()

    async def hold(_lease: Lease) -> None:
        held.set()
        await asyncio.Event().wait()

    living = asyncio.ensure_future(leases.lead("instance:aa", hold))
    await held.wait()
    with pytest.raises(
        ProcessesRunning, match=r"pets_e1_0002.*host-7:4711:aa \(holds instance:aa\)"
    ) as error:
        await migrate(database, [component])
    assert error.value.instance_code == "schema_in_use"
    assert elsewhere("SELECT version_num FROM strongroom_version_pets") == [["pets_0001"]]
    living.cancel()
    await asyncio.gather(living, return_exceptions=True)
    await migrate(database, [component])
    assert elsewhere("SELECT version_num FROM strongroom_version_pets") == [["pets_e1_0002"]]


async def test_what_a_killed_process_left_holds_nothing_off(
    database: Database, component: Revisions, elsewhere: Elsewhere
) -> None:
    add(component, "pets_e1_0002")
    clock = database.clock = ManualClock()
    assert await Leases(database, clock, holder="killed").acquire("instance:aa") is not None
    await leave_report(database, clock.now_ms())
    migrating = asyncio.ensure_future(migrate(database, [component]))
    while not migrating.done():
        await asyncio.sleep(0)
        clock.advance(0.1)
    await migrating
    assert elsewhere("SELECT version_num FROM strongroom_version_pets") == [["pets_e1_0002"]]


async def leave_report(database: Database, now_ms: int) -> None:
    row = {"holder": "aa", "name": "host-7:4711", "versions": "1", "version": 1, "seen_at_ms": now_ms}
    await database.write(lambda connection: connection.execute(tables.replica.insert(), row))


async def test_what_ended_a_minute_ago_is_no_sign(database: Database, clock: ManualClock) -> None:
    assert await Leases(database, clock, holder="aa").acquire("pets.work") is not None
    await leave_report(database, clock.now_ms())
    now_ms = clock.now_ms()
    assert await database.read(lambda c: read_signs(c, now_ms)) == {
        "keys of aa": ("host-7:4711", 0, now_ms),
        "pets.work": ("host-7:4711", 1, now_ms + 7000),
    }
    assert await database.read(lambda c: read_signs(c, now_ms + 7000 + FORGOTTEN_MS)) == {}


async def test_a_process_that_began_since_the_look_holds_it_off(
    database: Database, clock: ManualClock
) -> None:
    assert await Leases(database, clock, holder="aa").acquire("pets.work") is not None
    seen = await database.read(lambda c: read_signs(c, clock.now_ms()))
    await database.read(lambda c: require_still_nobody(c, clock, seen, ["x_0001"]))
    with pytest.raises(ProcessesRunning, match=r"aa \(holds pets.work\)"):
        await database.read(lambda c: require_still_nobody(c, clock, {}, ["x_0001"]))


async def test_a_borne_revision_does_not_wait(
    database: Database, component: Revisions, elsewhere: Elsewhere
) -> None:
    add(component, "pets_0002", "BORNE = True")
    assert await Leases(database, database.clock, holder="living").acquire("instance:aa") is not None
    await migrate(database, [component])
    assert elsewhere("SELECT version_num FROM strongroom_version_pets") == [["pets_0002"]]


async def test_a_component_that_is_new_does_not_wait(database: Database, tmp_path: Path) -> None:
    assert await Leases(database, database.clock, holder="living").acquire("instance:aa") is not None
    await migrate(database, [pets(tmp_path / "pets")])


def write(connection: Connection) -> None:
    connection.execute(text("INSERT INTO cat (id) VALUES (1)"))


async def test_an_old_process_works_on_under_a_schema_that_it_bears(
    database: Database, component: Revisions, elsewhere: Elsewhere, clock: ManualClock
) -> None:
    watch = SchemaWatch([component], clock)
    database.watched_by(watch)
    await check_database(database, watch)
    assert watch.check().detail is None
    elsewhere("UPDATE strongroom_version_pets SET version_num = 'pets_0009'")
    await check_database(database, watch)
    assert watch.check().status is Status.UP
    assert "(pets_0009), which this process bears" in str(watch.check().detail)
    await database.write(write)


@pytest.mark.parametrize("revision", ["pets_e1_0009", "given_back"])
async def test_an_old_process_stops_writing_under_a_schema_that_it_does_not_bear(
    database: Database, component: Revisions, elsewhere: Elsewhere, clock: ManualClock, revision: str
) -> None:
    watch = SchemaWatch([component], clock)
    database.watched_by(watch)
    beside = database.beside()
    elsewhere(f"UPDATE strongroom_version_pets SET version_num = '{revision}'")  # noqa: S608 - our own words
    with pytest.raises(SchemaNewer, match=rf"{revision}.*signs and writes nothing more"):
        await check_database(database, watch)
    assert watch.check().status is Status.DOWN
    for one in (database, beside):
        with pytest.raises(Unavailable, match="Stop it, and start the new version"):
            await one.write(write)
    assert elsewhere("SELECT COUNT(*) FROM cat") == [["0"]]
    elsewhere("UPDATE strongroom_version_pets SET version_num = 'pets_0001'")
    await check_database(database, watch)  # the backup from before was restored
    await database.write(write)
    await beside.close()


async def test_a_process_that_was_paused_looks_before_it_writes(
    database: Database, component: Revisions, elsewhere: Elsewhere, clock: ManualClock
) -> None:
    database.watched_by(SchemaWatch([component], clock))
    await database.write(write)
    elsewhere("UPDATE strongroom_version_pets SET version_num = 'pets_e1_0009'")
    clock.advance(STALE_S)
    with pytest.raises(SchemaNewer):
        await database.write(write)
    assert elsewhere("SELECT COUNT(*) FROM cat") == [["1"]]
