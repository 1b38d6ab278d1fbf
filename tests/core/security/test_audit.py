"""The audit trail shows every change to it."""

import asyncio
import hashlib
import json
from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import Connection, select
from sqlalchemy.exc import NoResultFound

from core.accounts import account, add, balances, create_accounts
from strongroom.core.security import audit as audit_module
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit, AuditBroken, chain_hash, verify
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database, Work
from strongroom.core.storage.errors import Duplicate
from strongroom.core.storage.migrations import migrate
from support.clock import START_MS, ManualClock
from support.mariadb import MariaDB
from support.trail import open_trail

Elsewhere = Callable[[str], list[list[str]]]

ALICE = Principal(name="token:alice", scopes=frozenset({"*"}))


@pytest.fixture
def audit(clock: ManualClock) -> Audit:
    return Audit(clock, open_trail())


async def record(database: Database, audit: Audit, *subjects: str) -> None:
    for subject in subjects:
        append = partial(
            audit.append, principal=ALICE, action="create", subject=subject, details={"of": subject}
        )
        await database.write(append)


async def test_a_row_holds_everything_and_its_hash_covers_it(
    database: Database, audit: Audit, clock: ManualClock
) -> None:
    clock.advance(1.5)
    details = {"z": "Grüße \N{CLAPPING HANDS SIGN}", "a": [1, None, "2"]}
    await database.write(lambda connection: audit.append(connection, ALICE, "sign", "wället/1", details))
    row = await database.fetch_one(select(tables.audit))
    assert row is not None
    text = '{"a":[1,null,"2"],"z":"Grüße \N{CLAPPING HANDS SIGN}"}'
    entry = [1, START_MS + 1500, "token:alice", "sign", "wället/1", text]
    written = json.dumps(entry, separators=(",", ":"), ensure_ascii=False).encode()
    own_hash = hashlib.sha256(bytes(32) + written).digest()
    assert tuple(row) == (*entry, bytes(32), own_hash)
    head = await database.fetch_one(select(tables.audit_head))
    assert head is not None
    assert tuple(head) == (1, 1, own_hash)


async def test_an_empty_trail_is_whole(database: Database) -> None:
    assert await verify(database) == 0


@pytest.mark.parametrize("length", [3, 4, 5, 8])
async def test_verifying_counts_every_row(
    database: Database, audit: Audit, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_module, "VERIFY_CHUNK", 4)
    await record(database, audit, *map(str, range(length)))
    assert await verify(database) == length


FORGERIES = {
    "principal altered": ("UPDATE strongroom_audit SET principal = 'token:eve' WHERE sequence = 2", 2),
    "action altered": ("UPDATE strongroom_audit SET action = 'delete' WHERE sequence = 2", 2),
    "subject altered": ("UPDATE strongroom_audit SET subject = 'x' WHERE sequence = 2", 2),
    "details altered": ("UPDATE strongroom_audit SET details = '{}' WHERE sequence = 2", 2),
    "time altered": ("UPDATE strongroom_audit SET at_ms = at_ms + 1 WHERE sequence = 2", 2),
    "hash altered": ("UPDATE strongroom_audit SET hash = previous_hash WHERE sequence = 2", 2),
    "link altered": ("UPDATE strongroom_audit SET previous_hash = hash WHERE sequence = 2", 2),
    "first removed": ("DELETE FROM strongroom_audit WHERE sequence = 1", 1),
    "middle removed": ("DELETE FROM strongroom_audit WHERE sequence = 2", 2),
    "all removed": ("DELETE FROM strongroom_audit", 0),
    "last removed": ("DELETE FROM strongroom_audit WHERE sequence = 3", 2),
    "two swapped": (
        """UPDATE strongroom_audit SET sequence = 9 WHERE sequence = 2;
           UPDATE strongroom_audit SET sequence = 2 WHERE sequence = 3;
           UPDATE strongroom_audit SET sequence = 3 WHERE sequence = 9""",
        2,
    ),
    "moved to the end": ("UPDATE strongroom_audit SET sequence = 9 WHERE sequence = 2", 2),
    "head removed": ("DELETE FROM strongroom_audit_head", 3),
    "head set back": ("UPDATE strongroom_audit_head SET sequence = 2", 3),
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forgery_is_found_where_it_is(
    database: Database, audit: Audit, elsewhere: Elsewhere, forgery: str
) -> None:
    await record(database, audit, "a", "b", "c")
    statements, row = FORGERIES[forgery]
    elsewhere(statements)
    with pytest.raises(AuditBroken, match=rf"row {row}\b"):
        await verify(database)


async def test_a_row_with_a_hash_of_its_own_breaks_the_next(database: Database, audit: Audit) -> None:
    await record(database, audit, "a", "b", "c")
    columns = tables.audit.c
    row = await database.fetch_one(select(tables.audit).where(columns.sequence == 2))
    assert row is not None
    forged = chain_hash(row.previous_hash, 2, row.at_ms, "token:eve", row.action, row.subject, row.details)
    statement = tables.audit.update().where(columns.sequence == 2)
    await database.write(
        lambda connection: connection.execute(statement.values(principal="token:eve", hash=forged))
    )
    with pytest.raises(AuditBroken, match=r"row 3\b"):
        await verify(database)


async def test_a_row_put_in_at_the_end_is_found(database: Database, audit: Audit, clock: ManualClock) -> None:
    await record(database, audit, "a")
    head = await database.fetch_one(select(tables.audit_head.c.hash))
    assert head is not None
    forged = {
        "sequence": 2,
        "at_ms": clock.now_ms(),
        "principal": "token:eve",
        "action": "sign",
        "subject": "a",
        "details": "{}",
        "previous_hash": head.hash,
        "hash": chain_hash(head.hash, 2, clock.now_ms(), "token:eve", "sign", "a", "{}"),
    }
    await database.write(lambda connection: connection.execute(tables.audit.insert(), forged))
    with pytest.raises(AuditBroken, match=r"ends at row 2\b"):
        await verify(database)


async def test_rows_of_two_processes_make_one_chain(
    database: Database, replica: Database, audit: Audit
) -> None:
    await asyncio.gather(*(record(each, audit, "x", "y") for each in [database, replica] * 8))
    assert await verify(replica) == 32


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
    monkeypatch.setattr(audit_module, "VERIFY_CHUNK", 4)
    await record(database, audit, *"abcdef")
    busy = BusyDatabase(database.url)
    busy.audit = audit
    assert await verify(busy) >= 6
    await busy.close()
    assert await verify(database) > 6


async def test_without_its_audit_row_nothing_is_committed(
    database: Database, audit: Audit, elsewhere: Elsewhere
) -> None:
    await create_accounts(database, "a")
    elsewhere("DELETE FROM strongroom_audit_head")

    def work(connection: Connection) -> None:
        add(connection, "a", 1)
        audit.append(connection, ALICE, "send", "a")

    with pytest.raises(NoResultFound):
        await database.write(work)
    assert await balances(database) == {"a": 0}


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


async def test_an_adopted_database_in_another_character_set_keeps_every_character(
    mariadb: MariaDB, audit: Audit
) -> None:
    database = Database(mariadb.new_database(charset="latin1"))
    await migrate(database, [])
    await record(database, audit, "Łódź \N{CLAPPING HANDS SIGN}")
    assert await verify(database) == 1
    await database.close()
