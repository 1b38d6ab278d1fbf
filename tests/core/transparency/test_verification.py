"""Whoever changes the audit trail without its key is found, and where."""

import asyncio
import re
from random import Random

import pytest
from sqlalchemy import Connection, delete, insert, select, update

from strongroom.core.errors import Sealed
from strongroom.core.guard.guard import Default, Guard
from strongroom.core.intents.signing import Signing
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.security.audit import Audit, AuditBroken
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.policy import SigningGate
from strongroom.core.security.trail import reading
from strongroom.core.security.trail.lanes import LANES
from strongroom.core.security.trail.rows import End, head_tag, keys_of, row_hash
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database, Work
from strongroom.core.transparency.verification import examine, verify
from support.clock import ManualClock
from support.trail import Elsewhere, open_trail, record
from support.window_racer import Payment

pytestmark = pytest.mark.anyio

ROWS, HEADS = tables.audit, tables.audit_lane
COLUMNS = "sequence, at_ms, principal, action, subject, details, previous_hash, hash, lane, number"


@pytest.fixture
def audit(clock: ManualClock) -> Audit:
    return Audit(clock, open_trail())


async def faults(database: Database, key: TrailKey | None = None) -> list[str]:
    return [*(await examine(database, key or open_trail())).faults]


async def test_an_empty_trail_is_whole(database: Database) -> None:
    assert await verify(database, open_trail()) == 0


@pytest.mark.parametrize("length", [1, 2, 3, 4, 7, 8])
async def test_verifying_counts_every_row(
    database: Database, audit: Audit, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHUNK", 4)
    await record(database, audit, *map(str, range(length)))
    assert await verify(database, open_trail()) == length


async def test_nobody_verifies_without_the_key(database: Database, audit: Audit) -> None:
    await record(database, audit, "a")
    with pytest.raises(Sealed):
        await verify(database, TrailKey())
    assert any("with another key" in fault for fault in await faults(database, TrailKey(bytes(32))))


# Rows 1 to 4 record a, b, c and d.
FORGERIES = {
    "principal altered": (
        "UPDATE strongroom_audit SET principal = 'token:eve' WHERE number = 3",
        "row 3 was changed",
    ),
    "action altered": ("UPDATE strongroom_audit SET action = 'delete' WHERE number = 3", "row 3 was changed"),
    "subject altered": ("UPDATE strongroom_audit SET subject = 'x' WHERE number = 3", "row 3 was changed"),
    "details altered": ("UPDATE strongroom_audit SET details = '{}' WHERE number = 3", "row 3 was changed"),
    "time altered": ("UPDATE strongroom_audit SET at_ms = at_ms + 1 WHERE number = 3", "row 3 was changed"),
    "hash altered": (
        "UPDATE strongroom_audit SET hash = previous_hash WHERE number = 3",
        "row 3 was changed",
    ),
    "link altered": (
        "UPDATE strongroom_audit SET previous_hash = hash WHERE number = 3",
        "row 3 does not follow",
    ),
    "number of the row altered": (
        "UPDATE strongroom_audit SET sequence = sequence + 100 WHERE number = 4",
        "its head names another row 4",
    ),
    "beginning altered": ("UPDATE strongroom_audit SET details = '{}' WHERE number = 1", "row 1 was changed"),
    "first removed": ("DELETE FROM strongroom_audit WHERE number = 1", "row 1 is missing"),
    "middle removed": ("DELETE FROM strongroom_audit WHERE number = 3", "row 3 is missing"),
    "two removed": ("DELETE FROM strongroom_audit WHERE number IN (2, 3)", "rows 2 to 3 are missing"),
    "wiped": ("DELETE FROM strongroom_audit", "it ends at row 0, and its head says 4"),
    "last removed": (
        "DELETE FROM strongroom_audit WHERE number = 4",
        "it ends at row 3, and its head says 4",
    ),
    "two swapped": (
        """UPDATE strongroom_audit SET number = 9 WHERE number = 2;
           UPDATE strongroom_audit SET number = 2 WHERE number = 3;
           UPDATE strongroom_audit SET number = 3 WHERE number = 9""",
        "row 2 does not follow",
    ),
    "moved after the end": ("UPDATE strongroom_audit SET number = 9 WHERE number = 3", "row 3 is missing"),
    "moved to another lane": (
        "UPDATE strongroom_audit SET lane = 7 + lane, number = 1 WHERE number = 4",
        "row 1 was put in after the last one, 0",
    ),
    "moved to no lane": (
        "UPDATE strongroom_audit SET lane = 999 WHERE number = 4",
        "lane 999: there is no such lane",
    ),
    "moved to the chain of before": (
        "UPDATE strongroom_audit SET lane = NULL, number = NULL WHERE number = 4",
        "the trail of before there were lanes is broken at row 1",
    ),
    "taken out of the count": (
        "UPDATE strongroom_audit SET number = NULL WHERE number = 4",
        "a row without a number was put in",
    ),
    "head removed": ("DELETE FROM strongroom_audit_lane WHERE number = 4", "its head is missing"),
    "all heads removed": ("DELETE FROM strongroom_audit_lane", "its head is missing; its last row is 4"),
    "head set back": (
        """UPDATE strongroom_audit_lane SET number = 3 WHERE number = 4;
           DELETE FROM strongroom_audit WHERE number = 4""",
        "its head was changed",
    ),
    "head of an empty lane set back": (
        "UPDATE strongroom_audit_lane SET tag = NULL WHERE number = 0 AND lane > 200",
        "lane 201: its head was set back",
    ),
    "all of it set back": (
        """UPDATE strongroom_audit_lane SET tag = NULL, number = 0, sequence = 0, hash = previous WHERE number = 4;
           DELETE FROM strongroom_audit""",
        "its head was set back",
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forgery_is_found_where_it_is(
    database: Database, audit: Audit, elsewhere: Elsewhere, forgery: str
) -> None:
    await record(database, audit, *"abcd")
    statements, words = FORGERIES[forgery]
    zeros = "zeroblob(32)" if database.is_sqlite else "REPEAT(CHAR(0), 32)"
    elsewhere(statements.replace("previous W", f"{zeros} W"))
    with pytest.raises(AuditBroken):
        await verify(database, open_trail())
    found = await faults(database)
    assert any(words in fault for fault in found), found
    assert all(re.match(r"lane \d+: |the trail of|the record of", fault) for fault in found), found


async def test_a_chain_that_was_written_anew_without_the_key_is_found(
    database: Database, audit: Audit
) -> None:
    """The thief knows how rows hang together, and has a key of its own."""
    await record(database, audit, *"abcd")
    stolen = keys_of(TrailKey(b"e" * 32))

    def work(connection: Connection) -> None:
        rows = connection.execute(select(ROWS).order_by(ROWS.c.number)).all()
        end = End(lane=rows[0].lane)
        for row in rows:
            content = reading.content_of(row)
            own = row_hash(stolen, end, content)
            change = update(ROWS).where(ROWS.c.sequence == row.sequence)
            connection.execute(change.values(previous_hash=end.hash, hash=own))
            end = End(lane=row.lane, number=row.number, sequence=row.sequence, hash=own)
        head = update(HEADS).where(HEADS.c.lane == end.lane)
        connection.execute(head.values(hash=end.hash, tag=head_tag(stolen, end)))

    await database.write(work)
    found = await faults(database)
    assert len([fault for fault in found if "was changed" in fault]) == 5  # each row, and the head


async def test_every_fault_is_told_with_its_lane(
    database: Database, audit: Audit, elsewhere: Elsewhere
) -> None:
    await record(database, audit, *"abcdefgh")
    elsewhere(
        "UPDATE strongroom_audit SET subject = 'x' WHERE number IN (3, 5); DELETE FROM strongroom_audit WHERE number = 7"
    )
    rows = await database.fetch_all(select(ROWS.c.lane).distinct())
    lane = rows[0].lane
    sentence = "was changed or was not written by this service, or the sequence of row"
    assert await faults(database) == [
        f"lane {lane}: row 3 {sentence} 2 was",
        f"lane {lane}: row 5 {sentence} 4 was",
        f"lane {lane}: row 7 is missing",
    ]


@pytest.mark.parametrize("wrong", [9, 10, 11])
async def test_of_many_faults_the_first_ten_are_told(
    database: Database, audit: Audit, elsewhere: Elsewhere, wrong: int
) -> None:
    await record(database, audit, *map(str, range(1, 13)))
    elsewhere(f"UPDATE strongroom_audit SET subject = 'x' WHERE number BETWEEN 2 AND {wrong + 1}")  # noqa: S608
    with pytest.raises(AuditBroken) as raised:
        await verify(database, open_trail())
    assert raised.value.message.count("was changed or was not written") == min(wrong, 10)
    last = min(wrong, 10)
    more = "; and 1 more" if wrong > 10 else ""
    assert raised.value.message.endswith(f"or the sequence of row {last} was{more}")


class BusyDatabase(Database):
    """Appends a row after each unit that reads, as another process may."""

    audit: Audit

    async def read(self, work: Work[object]) -> object:  # type: ignore[override] # any result will do here
        result = await super().read(work)
        await record(self, self.audit, "meanwhile")
        return result


async def test_a_trail_that_grows_while_it_is_verified_is_whole(
    database: Database, audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHUNK", 4)
    await record(database, audit, *"abcdef")
    busy = BusyDatabase(database.url)
    busy.audit = audit
    assert await verify(busy, open_trail()) >= 6
    await busy.close()
    assert await verify(database, open_trail()) > 6


async def test_what_follows_the_ends_of_before_is_verified_alone(
    database: Database, audit: Audit, elsewhere: Elsewhere
) -> None:
    await record(database, audit, "a", "b")
    before = await examine(database, open_trail())
    await record(database, audit, "c")
    since = await examine(database, open_trail(), since=before.ends)
    assert (since.rows, since.faults) == (1, ())
    elsewhere("UPDATE strongroom_audit SET subject = 'x' WHERE number = 2")
    assert await verify(database, open_trail(), since=before.ends) == 1
    elsewhere("UPDATE strongroom_audit SET subject = 'x' WHERE number = 3")
    with pytest.raises(AuditBroken, match="row 3 was changed"):
        await verify(database, open_trail(), since=before.ends)


Copy = dict[str, list[dict[str, object]]]


def copied(connection: Connection) -> Copy:
    return {
        table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
        for table in (ROWS, HEADS)
    }


def put_back(connection: Connection, copy: Copy) -> None:
    for table in (ROWS, HEADS):
        connection.execute(delete(table))
        if copy[table.name]:
            connection.execute(insert(table), copy[table.name])


def steal(connection: Connection, random: Random) -> None:
    """One change of a row or a head, by somebody who knows everything but the key."""
    table = random.choice([ROWS, ROWS, HEADS])
    rows = connection.execute(select(table)).all()
    key = next(iter(table.primary_key.columns))
    ours = [row for row in rows if row.lane is not None and row.number > 0]
    if not ours:
        return
    victim, other = random.choice(ours), random.choice(ours)
    which = key == getattr(victim, key.name)
    if random.random() < 0.3:
        connection.execute(delete(table).where(which))
        return
    names = [
        column.name for column in table.columns if column.name not in {"at_ms", "excluded"} or table is ROWS
    ]
    name = random.choice(names)
    old = getattr(victim, name)
    new = getattr(other, name)
    if new == old or name in {key.name, "number"}:
        new = {
            str: f"{old}x",
            bytes: bytes(32) if old != bytes(32) else b"e" * 32,
            int: LANES + 5 if name == "lane" else 1_000_000 + random.randrange(1_000_000),
        }[type(old)]
    if name == "action" and isinstance(new, str):
        new = new[:60]
    connection.execute(update(table).where(which).values({name: new}))


async def test_no_change_by_chance_goes_unnoticed(database: Database, audit: Audit) -> None:
    """400 times somebody changes one to three things; each time the trail is not whole, until it is put back."""
    await record(database, audit, *"abcdefgh")
    whole = await database.read(copied)
    random = Random(12)
    for number in range(400 if database.is_sqlite else 60):
        for _ in range(random.randint(1, 3)):
            await database.write(lambda connection: steal(connection, random))
        if await database.read(copied) != whole:
            assert await faults(database), f"attempt {number} went unnoticed"
        await database.write(lambda connection: put_back(connection, whole))
        await asyncio.sleep(0)
    assert await verify(database, open_trail()) == 8


async def test_a_signature_without_its_row_is_found_though_the_trail_is_an_old_one_as_it_was(
    database: Database, audit: Audit, clock: ManualClock
) -> None:
    """Somebody puts back both tables of the trail from a copy, heads and all."""
    gate = SigningGate(Guard(clock, Default.ALLOW, key=open_trail()), audit)
    signing = Signing("race", database=database, gate=gate, clock=clock, metrics=Metrics("race"))
    await signing.sign(Payment("first", 1))
    old = await database.read(copied)
    second = await signing.sign(Payment("second", 2))
    assert await verify(database, open_trail()) == 2
    await database.write(lambda connection: put_back(connection, old))
    assert await faults(database) == [
        f"the {second.kind} {second.id.hex().upper()} of {second.account} was signed, and its row is missing"
    ]
