"""Pages and the stream of the audit trail: everything once, in order, whatever is filtered and however it is cut."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from strongroom.core.intents.intent import Intent
from strongroom.core.intents.store import adopt
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from strongroom.core.transparency.reading import AuditFilter, AuditRow, TrailReader, document_of
from support.clock import START_MS, ManualClock
from support.trail import open_trail

pytestmark = pytest.mark.anyio
BY_ANN = AuditFilter(principal="token:ann")


async def record(
    database: Database, clock: ManualClock, who: str, action: str, subject: str, **details: Any
) -> None:
    principal = Principal(name=who, scopes=frozenset())
    await database.write(
        partial(
            Audit(clock, open_trail()).append,
            principal=principal,
            action=action,
            subject=subject,
            details=details,
        )
    )


async def streamed(reader: TrailReader, wanted: AuditFilter | None = None) -> list[AuditRow]:
    return [row async for row in reader.stream(wanted or AuditFilter())]


async def test_a_row_is_shown_whole(database: Database, clock: ManualClock) -> None:
    clock.advance(1.5)
    await record(database, clock, "token:ann", "sign", "alice", hash="AB", why="Größe")
    (row,) = await TrailReader("toy", database).page(BY_ANN)
    assert document_of(row) | {"at": ""} == {
        "ledger": "toy",
        "sequence": row.sequence,
        "at": "",
        "principal": "token:ann",
        "action": "sign",
        "subject": "alice",
        "details": {"hash": "AB", "why": "Größe"},
        "lane": row.lane,
        "number": row.number,
        "hash": row.hash,
    }
    stored = await database.fetch_one(select(tables.audit).where(tables.audit.c.sequence == row.sequence))
    assert stored is not None
    assert row.hash == stored.hash.hex()
    assert row.at_ms == START_MS + 1500


async def test_each_filter_keeps_what_it_says(database: Database, clock: ManualClock) -> None:
    await record(database, clock, "token:ann", "token.create", "t1")
    clock.advance(1)
    await record(database, clock, "token:bob", "token.revoke", "t1")
    clock.advance(1)
    await record(database, clock, "token:bob", "tokens", "hot")
    await record(database, clock, "token:bob", "sign", "account of hot")
    await record(database, clock, "token:bob", "key.import", "hot/miner")
    await record(database, clock, "token:bob", "key.import", "hotter")
    await record(database, clock, "token:bob", "sign", "account of another")
    for number, wallet in enumerate(("hot", "cold")):
        known = {"account": f"account of {'hot' if number == 0 else 'another'}", "wallet": wallet}
        await database.write(partial(adopt, intent=intent(number, **known)))
    reader = TrailReader("toy", database)

    async def found(**wanted: Any) -> list[tuple[str, str]]:
        """What people did."""
        rows = await reader.page(AuditFilter(**wanted))
        assert rows[::-1] == await streamed(reader, AuditFilter(**wanted))
        return [(row.action, row.subject) for row in rows[::-1] if row.principal.startswith("token:")]

    assert len(await found()) == 7
    assert await found(principal="token:ann") == [("token.create", "t1")]
    assert await found(action="token") == [("token.create", "t1"), ("token.revoke", "t1")]
    assert await found(action="token.revoke") == [("token.revoke", "t1")]
    assert await found(action="tok_n.revoke") == []
    assert await found(subject="hotter") == [("key.import", "hotter")]
    assert await found(wallet="hot") == [
        ("tokens", "hot"),
        ("sign", "account of hot"),
        ("key.import", "hot/miner"),
    ]
    assert await found(since_ms=START_MS + 1000, until_ms=START_MS + 2000) == [("token.revoke", "t1")]
    assert await found(subject="t1", principal="token:bob") == [("token.revoke", "t1")]


def intent(number: int, **parts: Any) -> Intent:
    known: dict[str, Any] = {
        "id": number.to_bytes(32, "big"),
        "slot": None,
        "kind": "SEND",
        "payload": b"signed",
        "principal": "token:shop",
        "request": "{}",
        "stage": "signed",
        "created_at_ms": number,
    }
    return Intent(**known | parts)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    removed=st.sets(st.integers(1, 20)),
    window=st.integers(1, 8),
    chunk=st.integers(1, 8),
    limit=st.integers(1, 8),
    only_even=st.booleans(),
)
async def test_cut_anyhow_each_row_comes_once_and_in_order(
    trail_of_twenty: Database, removed: set[int], window: int, chunk: int, limit: int, *, only_even: bool
) -> None:
    """Also where numbers are missing, and where few rows pass the filter."""
    wanted = replace(BY_ANN, subject="even") if only_even else BY_ANN
    whole = await streamed(TrailReader("toy", trail_of_twenty), BY_ANN)
    assert len(whole) == 20
    gone = {whole[number - 1].sequence for number in removed}
    kept = [row for row in whole if row.sequence not in gone]
    kept = [row for row in kept if not only_even or row.subject == "even"]
    reader = Without(trail_of_twenty, gone, window=window, chunk=chunk)
    assert await streamed(reader, wanted) == kept
    paged, before = list[AuditRow](), None
    while page := await reader.page(wanted, before=before, limit=limit):
        assert len(page) <= limit
        paged += page
        before = page[-1].sequence
    assert paged == kept[::-1]


class Without(TrailReader):
    """Reads a trail as if these rows were missing."""

    def __init__(self, database: Database, removed: set[int], *, window: int, chunk: int) -> None:
        super().__init__("toy", database, window=window, chunk=chunk)
        self._removed = removed

    async def _read(
        self, wanted: AuditFilter, low: int, high: int, limit: int, **order: bool
    ) -> list[AuditRow]:
        assert high - low < self._window, "no more numbers than a window has"
        assert limit <= max(self._chunk, 8)
        rows = await super()._read(wanted, low, high, 1_000, **order)
        return [row for row in rows if row.sequence not in self._removed][:limit]


@pytest.fixture
async def trail_of_twenty(database: Database, clock: ManualClock) -> Database:
    for number in range(1, 21):
        await record(database, clock, "token:ann", "sign", "odd" if number % 2 else "even")
    return database


async def test_rows_that_are_added_meanwhile_are_not_streamed(database: Database, clock: ManualClock) -> None:
    for number in range(5):
        await record(database, clock, "token:ann", "sign", str(number))
    reader = TrailReader("toy", database, window=2)
    found, told = list[str](), list[tuple[int, int]]()
    async for row in reader.stream(BY_ANN, lambda done, total: told.append((done, total))):
        found.append(row.subject)
        await record(database, clock, "token:ann", "sign", "late")
    assert found == ["0", "1", "2", "3", "4"]
    total = told[-1][1]
    assert total in {5, 6}, "the trail may begin with a row of its own"
    assert told == [(2, total), (4, total), (total, total)]


async def test_an_empty_trail_has_no_pages(database: Database) -> None:
    reader = TrailReader("toy", database)
    assert await reader.page(AuditFilter()) == []
    assert await streamed(reader) == []


async def test_a_row_whose_details_somebody_destroyed_is_shown_all_the_same(
    database: Database, clock: ManualClock
) -> None:
    await record(database, clock, "token:ann", "sign", "alice")

    def destroy(connection: Connection) -> None:
        connection.exec_driver_sql("UPDATE strongroom_audit SET details = '[1'")

    await database.write(destroy)
    (row,) = await TrailReader("toy", database).page(BY_ANN)
    assert row.details == {"unreadable": "[1"}
