"""Each row of the audit trail is in the transaction of its action, and hangs on the row before."""

import asyncio
import hashlib
import hmac
import json
from functools import partial

import pytest
from sqlalchemy import Connection, select, update
from sqlalchemy.util import await_only

from core.accounts import account, add, balances, create_accounts
from strongroom.core.errors import Sealed
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit, AuditBroken
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.trail.lanes import LANES, WIDTH
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import Duplicate
from strongroom.core.storage.migrations import migrate
from support.clock import START_MS, ManualClock
from support.mariadb import MariaDB
from support.trail import Elsewhere, open_trail, record, verify

ALICE = Principal(name="token:alice", scopes=frozenset({"*"}))


@pytest.fixture
def audit(clock: ManualClock) -> Audit:
    return Audit(clock, open_trail())


async def test_a_row_holds_everything_and_its_hash_covers_it(
    database: Database, audit: Audit, clock: ManualClock
) -> None:
    clock.advance(1.5)
    await record(database, audit, "first")
    details = {"z": "Grüße \N{CLAPPING HANDS SIGN}", "a": [1, None, "2"]}
    sequence = await database.write(
        lambda connection: audit.append(connection, ALICE, "sign", "wället/1", details)
    )
    first, row = await database.fetch_all(select(tables.audit).order_by(tables.audit.c.sequence))
    text = '{"a":[1,null,"2"],"z":"Grüße \N{CLAPPING HANDS SIGN}"}'
    entry = [START_MS + 1500, "token:alice", "sign", "wället/1", text]
    covered = json.dumps([row.lane, 2, first.sequence, *entry], separators=(",", ":"), ensure_ascii=False)
    key = open_trail().derive(b"audit")
    own_hash = hmac.digest(key, first.hash + covered.encode(), hashlib.sha256)
    assert tuple(row) == (sequence, *entry, first.hash, own_hash, first.lane, 2)
    head = await database.fetch_one(select(tables.audit_lane).where(tables.audit_lane.c.number == 2))
    assert head is not None
    end = json.dumps([row.lane, 2, sequence], separators=(",", ":")).encode()
    tag = hmac.digest(open_trail().derive(b"audit heads"), own_hash + end, hashlib.sha256)
    assert (head.lane, head.sequence, head.hash, head.tag) == (row.lane, sequence, own_hash, tag)


async def test_without_its_audit_row_nothing_is_committed(
    database: Database, audit: Audit, elsewhere: Elsewhere
) -> None:
    await create_accounts(database, "a")
    elsewhere("DELETE FROM strongroom_audit_lane")

    def work(connection: Connection) -> None:
        add(connection, "a", 1)
        audit.append(connection, ALICE, "send", "a")

    with pytest.raises(AuditBroken):
        await database.write(work)
    assert await balances(database) == {"a": 0}


async def test_nothing_is_committed_while_the_key_is_not_in_memory(
    database: Database, clock: ManualClock
) -> None:
    key = open_trail()
    audit = Audit(clock, key)
    await record(database, audit, "before")
    key.close()
    with pytest.raises(Sealed):
        await record(database, audit, "meanwhile")
    assert await verify(database) == 1


async def test_a_process_with_another_key_writes_no_row(
    database: Database, audit: Audit, clock: ManualClock
) -> None:
    await record(database, audit, "a")
    stranger = Audit(clock, TrailKey(bytes(32)))
    with pytest.raises(AuditBroken, match="written with another key"):
        await record(database, stranger, "b")
    assert await verify(database) == 1


@pytest.mark.parametrize("column", ["number", "sequence", "hash", "tag"])
async def test_a_head_that_was_changed_takes_no_row(database: Database, audit: Audit, column: str) -> None:
    await record(database, audit, "a")
    heads = tables.audit_lane
    other = {"number": 7, "sequence": 7, "hash": bytes(32), "tag": bytes(32)}[column]
    await database.write(
        lambda connection: connection.execute(update(heads).where(heads.c.number > 0).values({column: other}))
    )
    with pytest.raises(AuditBroken):
        await record(database, audit, "b")


@pytest.mark.parametrize("column", ["hash", "tag"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_head_of_another_kind_takes_no_row(database: Database, audit: Audit, column: str) -> None:
    """SQLite keeps text in a column of bytes."""
    await record(database, audit, "a")
    statement = f"UPDATE strongroom_audit_lane SET {column} = 'text' WHERE number > 0"  # noqa: S608 - the test's own
    await database.write(lambda connection: connection.exec_driver_sql(statement))
    with pytest.raises(AuditBroken):
        await record(database, audit, "b")


async def test_a_lane_that_was_set_back_to_its_beginning_takes_no_row(
    database: Database, audit: Audit
) -> None:
    await record(database, audit, "a")
    heads = tables.audit_lane
    pristine = {"number": 0, "sequence": 0, "hash": bytes(32), "tag": None}
    await database.write(
        lambda connection: connection.execute(update(heads).where(heads.c.number > 0).values(pristine))
    )
    with pytest.raises(AuditBroken, match="set back"):
        await record(database, audit, "b")


async def test_a_unit_that_fails_leaves_no_row(database: Database, audit: Audit) -> None:
    await create_accounts(database, "a")

    def work(connection: Connection) -> None:
        audit.append(connection, ALICE, "create", "a")
        connection.execute(account.insert(), {"name": "a", "balance_raw": 0})

    with pytest.raises(Duplicate):
        await database.write(work)
    assert await verify(database) == 0
    await record(database, audit, "a")
    assert await verify(database) == 1


async def test_rows_of_two_processes_make_whole_chains(
    database: Database, replica: Database, audit: Audit, clock: ManualClock
) -> None:
    other = Audit(clock, open_trail())
    pairs = [(database, audit), (replica, other)] * 8
    await asyncio.gather(*(record(each, own, "x", "y") for each, own in pairs))
    assert await verify(replica) == 32


async def test_connections_of_a_process_append_in_lanes_of_their_own(mariadb: MariaDB, audit: Audit) -> None:
    """Sixteen transactions hold their lanes at the same time, which none of them could with a lane of another."""
    database = Database(mariadb.new_database())
    await migrate(database, [])
    await record(database, audit, "first")
    entered = 0
    together = asyncio.Event()

    def work(connection: Connection, subject: str) -> int:
        nonlocal entered
        sequence = audit.append(connection, ALICE, "create", subject)
        entered += 1
        if entered == WIDTH:
            together.set()
        await_only(together.wait())
        return sequence

    found = await asyncio.gather(*(database.write(partial(work, subject=str(n))) for n in range(WIDTH)))
    assert len(set(found)) == WIDTH
    lanes = await database.fetch_all(select(tables.audit.c.lane).distinct())
    assert len(lanes) == WIDTH
    assert len({row.lane // WIDTH for row in lanes}) == 1
    assert await verify(database) == WIDTH + 1
    await database.close()


async def test_processes_that_start_one_after_another_take_different_slots(
    mariadb: MariaDB, clock: ManualClock
) -> None:
    url = mariadb.new_database()
    first = Database(url)
    await migrate(first, [])
    await record(first, Audit(clock, open_trail()), "a")
    clock.advance(1)
    second = Database(url)
    await record(second, Audit(clock, open_trail()), "b")
    rows = await first.fetch_all(select(tables.audit.c.lane).distinct())
    assert len({row.lane // WIDTH for row in rows}) == 2
    assert {row.lane for row in rows} <= set(range(LANES))
    await first.close()
    await second.close()


async def test_an_adopted_database_in_another_character_set_keeps_every_character(
    mariadb: MariaDB, audit: Audit
) -> None:
    database = Database(mariadb.new_database(charset="latin1"))
    await migrate(database, [])
    await record(database, audit, "Łódź \N{CLAPPING HANDS SIGN}")
    assert await verify(database) == 1
    await database.close()
