"""The rows of events: their order, their states, and what each state changes."""

from typing import Any

import pytest
from sqlalchemy import Connection

from strongroom.core.storage.database import Database
from strongroom.core.webhooks import queue
from strongroom.core.webhooks.queue import LIFE_MS, EventState, QueuedEvent, QueueState

pytestmark = pytest.mark.anyio
NOW = 1_800_000_000_000
ENDPOINTS = ("shop", "other", "quiet")
DELIVERED, DEAD, WAITING = EventState.DELIVERED, EventState.DEAD, EventState.WAITING


class Rows:
    """The events of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def do(self, function: Any, *arguments: Any, **named: Any) -> Any:
        return await self._database.write(lambda c: function(c, *arguments, **named))

    async def insert(
        self, stream: str, *events: str, endpoint: str = "shop", now_ms: int = NOW
    ) -> list[QueuedEvent]:
        rows = [
            queue.row_of(endpoint=endpoint, event=each, kind="k", stream=stream, payload="{}", now_ms=now_ms)
            for each in events
        ]
        await self.do(queue.insert_events, rows)
        return await self.of(stream, endpoint=endpoint)

    async def of(self, stream: str, *, endpoint: str = "shop") -> list[QueuedEvent]:
        """Those of the stream, in their order, whatever their state."""
        found = await self.do(queue.list_events, endpoint, states=tuple(EventState), limit=500)
        return [one for one in reversed(found) if one.stream == stream]

    async def next(self, stream: str, most: int = 10) -> list[str]:
        return [one.id for one in await self.do(queue.next_events, "shop", stream, most)]


@pytest.fixture
def rows(database: Database) -> Rows:
    return Rows(database)


async def test_a_new_event_waits_and_was_not_tried(rows: Rows) -> None:
    (one,) = await rows.insert("a", "e1")
    assert one == QueuedEvent(
        row=one.row,
        endpoint="shop",
        id="e1",
        kind="k",
        stream="a",
        payload="{}",
        created_at_ms=NOW,
        state=WAITING,
        attempts=0,
        due_at_ms=NOW,
        since_ms=None,
        status=None,
        trouble=None,
        ended_at_ms=None,
    )


async def test_what_waits_comes_in_its_order_and_no_more_than_asked_for(rows: Rows) -> None:
    await rows.insert("a", "e1", "e2", "e3")
    await rows.insert("b", "e4")
    await rows.insert("a", "e5", endpoint="other")
    assert await rows.next("a") == ["e1", "e2", "e3"]
    assert await rows.next("a", 2) == ["e1", "e2"]


async def test_streams_that_wait_are_those_behind_a_row(rows: Rows) -> None:
    first, second = await rows.insert("a", "e1", "e2")
    (third,) = await rows.insert("b", "e3")
    streams, last = await rows.do(queue.waiting_streams, 0)
    assert sorted(streams) == [("shop", "a"), ("shop", "b")]
    assert last == third.row
    assert await rows.do(queue.waiting_streams, second.row) == ([("shop", "b")], third.row)
    assert await rows.do(queue.waiting_streams, third.row) == ([], third.row)
    await rows.do(queue.record_delivered, third, 200, NOW)
    assert await rows.do(queue.waiting_streams, first.row) == ([("shop", "a")], second.row)


async def test_a_delivery_is_recorded_once(rows: Rows) -> None:
    (one,) = await rows.insert("a", "e1")
    assert await rows.do(queue.record_delivered, one, 204, NOW + 5) is True
    assert await rows.do(queue.record_delivered, one, 500, NOW + 9) is False
    (after,) = await rows.of("a")
    assert (after.state, after.attempts, after.status) == (DELIVERED, 1, 204)
    assert (after.trouble, after.ended_at_ms) == (None, NOW + 5)
    assert await rows.next("a") == []


async def test_a_failure_is_recorded_of_what_waits_alone(rows: Rows) -> None:
    (one,) = await rows.insert("a", "e1")
    failed = {"since_ms": NOW, "due_ms": NOW + 5}
    assert await rows.do(queue.record_failed, one, 500, "x" * 400, **failed) is True
    (after,) = await rows.of("a")
    assert (after.state, after.attempts, after.status) == (WAITING, 1, 500)
    assert (after.since_ms, after.due_at_ms, after.trouble) == (NOW, NOW + 5, "x" * 300)
    await rows.do(queue.record_delivered, one, 200, NOW)
    (after,) = await rows.of("a")
    assert (after.attempts, after.trouble) == (2, None)
    assert await rows.do(queue.record_failed, one, 500, "x", **failed) is False
    assert await rows.do(queue.record_dead, one, 500, "x", since_ms=NOW, now_ms=NOW) is False


async def test_after_a_delivery_what_waits_behind_has_a_day_of_its_own(rows: Rows) -> None:
    first, second, _ = await rows.insert("a", "e1", "e2", "e3")
    (other,) = await rows.insert("b", "e4")
    for one in (second, other):
        await rows.do(queue.record_failed, one, 500, "x", since_ms=NOW, due_ms=NOW)
    await rows.do(queue.record_delivered, first, 200, NOW)
    assert [one.since_ms for one in await rows.of("a")] == [None, NOW, None], "the first was taken at once"
    await rows.do(queue.replay, "shop", NOW, states=[DELIVERED])
    await rows.do(queue.record_failed, first, 500, "x", since_ms=NOW, due_ms=NOW)
    await rows.do(queue.record_delivered, (await rows.of("a"))[0], 200, NOW)
    assert [one.since_ms for one in await rows.of("a")] == [NOW, None, None]
    assert [one.since_ms for one in await rows.of("b")] == [NOW], "another stream waits as before"


@pytest.mark.parametrize("status", [500, None])
async def test_what_waits_behind_a_dead_event_has_waited_as_long_as_it_was_there(
    rows: Rows, status: int | None
) -> None:
    end = NOW + LIFE_MS
    dying, _ = await rows.insert("a", "dies", "as old", now_ms=NOW - 1)
    await rows.insert("a", "younger", now_ms=NOW + 1)
    await rows.insert("b", "beside", now_ms=NOW - 1)
    died = {"since_ms": NOW, "now_ms": end}
    assert await rows.do(queue.record_dead, dying, status, "x" * 400, **died) is True
    dead, as_old, younger = await rows.of("a")
    assert (dead.state, dead.attempts, dead.status) == (DEAD, 1, status)
    assert (dead.since_ms, dead.ended_at_ms, dead.trouble) == (NOW, end, "x" * 300)
    assert as_old.since_ms == NOW, "it began to wait with the one before it"
    assert (younger.state, younger.since_ms) == (WAITING, NOW + 1)
    assert [(one.state, one.since_ms) for one in await rows.of("b")] == [(WAITING, None)]
    if status is None:  # nobody is there: each would be tried in vain
        assert (as_old.state, as_old.ended_at_ms, as_old.trouble) == (DEAD, end, "x" * 300)
        assert as_old.attempts == 0
    else:
        assert (as_old.state, as_old.ended_at_ms) == (WAITING, None)


async def test_replay_is_for_those_that_were_asked_for(rows: Rows) -> None:
    one, two, three, _ = await rows.insert("a", "e1", "e2", "e3", "e4")
    late = (await rows.insert("a", "late", now_ms=NOW + 10))[-1]
    (other,) = await rows.insert("a", "e1", endpoint="other")
    for each in (one, two, late, other):
        await rows.do(queue.record_dead, each, 500, "x", since_ms=NOW, now_ms=NOW)
    await rows.do(queue.record_delivered, three, 200, NOW)
    assert await rows.do(queue.replay, "shop", NOW, event="e3") == 0, "it is not dead"
    assert await rows.do(queue.replay, "shop", NOW, event="e1") == 1
    assert await rows.do(queue.replay, "shop", NOW, since_ms=NOW + 11) == 0
    assert await rows.do(queue.replay, "shop", NOW + 20, since_ms=NOW + 10) == 1
    assert await rows.do(queue.replay, "shop", NOW, states=[DEAD, DELIVERED]) == 2
    again = [each for each in await rows.of("a") if each.id != "e4"]
    assert {(each.state, each.attempts) for each in again} == {(WAITING, 0)}
    assert {(each.since_ms, each.ended_at_ms) for each in again} == {(None, None)}
    assert [each.due_at_ms for each in again] == [NOW, NOW, NOW, NOW + 20]
    assert [each.state for each in await rows.of("a", endpoint="other")] == [DEAD]


async def test_an_event_is_known_until_it_is_forgotten(rows: Rows) -> None:
    await rows.insert("a", "e1")
    assert await rows.do(queue.has_event, "shop", "e1")
    assert not await rows.do(queue.has_event, "shop", "e2")
    assert not await rows.do(queue.has_event, "other", "e1")


async def test_what_waits_is_made_due_and_nothing_else(rows: Rows) -> None:
    one, two = await rows.insert("a", "e1", "e2", now_ms=NOW + 50)
    await rows.insert("a", "e3", endpoint="other", now_ms=NOW + 50)
    await rows.insert("b", "e4", now_ms=NOW - 50)
    await rows.do(queue.record_delivered, one, 200, NOW)
    await rows.do(queue.make_due, "shop", NOW)
    assert [each.due_at_ms for each in await rows.of("a")] == [NOW + 50, NOW]
    assert [each.due_at_ms for each in await rows.of("b")] == [NOW - 50]
    assert [each.due_at_ms for each in await rows.of("a", endpoint="other")] == [NOW + 50]
    assert two.due_at_ms == NOW + 50


async def test_events_are_listed_in_pages_the_newest_first(rows: Rows) -> None:
    one, two, three = await rows.insert("a", "e1", "e2", "e3")
    await rows.insert("a", "e4", endpoint="other")
    await rows.do(queue.record_delivered, two, 200, NOW)

    async def ids(*states: EventState, before: int | None = None, limit: int = 10) -> list[str]:
        found = await rows.do(queue.list_events, "shop", states=states, before=before, limit=limit)
        return [each.id for each in found]

    assert await ids(*EventState) == ["e3", "e2", "e1"]
    assert await ids(*EventState, limit=2) == ["e3", "e2"]
    assert await ids(*EventState, before=three.row) == ["e2", "e1"]
    assert await ids(WAITING) == ["e3", "e1"]
    assert await ids(DELIVERED, before=one.row) == []


async def test_the_state_of_a_queue_is_counted(rows: Rows) -> None:
    one, two, three = await rows.insert("a", "e1", "e2", "e3")
    (four,) = await rows.insert("b", "e4", now_ms=NOW + 1)
    await rows.insert("b", "e5", endpoint="other", now_ms=NOW + 2)
    (done,) = await rows.insert("c", "e6", endpoint="done")
    await rows.do(queue.record_delivered, done, 200, NOW)
    await rows.do(queue.record_dead, one, 500, "x", since_ms=NOW, now_ms=NOW)
    await rows.do(queue.record_failed, two, 500, "later", since_ms=NOW + 9, due_ms=NOW)
    await rows.do(queue.record_failed, four, 500, "first", since_ms=NOW + 5, due_ms=NOW)
    assert await rows.do(queue.queue_states, ENDPOINTS) == {
        "shop": QueueState(waiting=3, oldest_ms=NOW, failing_since_ms=NOW + 5, trouble="first", dead=1),
        "other": QueueState(waiting=1, oldest_ms=NOW + 2),
    }
    for each in (two, three, four):
        await rows.do(queue.record_delivered, each, 200, NOW)
    assert (await rows.do(queue.queue_states, ENDPOINTS))["shop"] == QueueState(dead=1)


async def test_old_deliveries_are_forgotten_not_too_many_at_once(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PURGED_AT_ONCE", 2)
    events = await rows.insert("a", "e1", "e2", "e3", "e4", "e5")
    for at, one in enumerate(events[:4]):
        await rows.do(queue.record_delivered, one, 200, NOW + min(at, 3))
    await rows.do(queue.record_dead, events[4], 500, "x", since_ms=NOW, now_ms=NOW)
    assert await rows.do(queue.forget_delivered, NOW) == 0
    assert await rows.do(queue.forget_delivered, NOW + 3) == 2
    assert await rows.do(queue.forget_delivered, NOW + 3) == 1
    assert await rows.do(queue.forget_delivered, NOW + 3) == 0
    assert [one.id for one in await rows.of("a")] == ["e4", "e5"]


async def test_the_events_of_one_endpoint_are_deleted(rows: Rows) -> None:
    await rows.insert("a", "e1")
    await rows.insert("a", "e1", endpoint="other")
    await rows.do(queue.delete_events, "shop")
    assert await rows.of("a") == []
    assert len(await rows.of("a", endpoint="other")) == 1


async def test_an_event_that_is_there_stays_as_it_is(rows: Rows, database: Database) -> None:
    (one,) = await rows.insert("a", "e1")
    await rows.do(queue.record_delivered, one, 200, NOW)
    (after,) = await rows.insert("a", "e1", now_ms=NOW + 9)
    assert (after.state, after.created_at_ms) == (DELIVERED, NOW)

    def count(connection: Connection) -> int:
        return len(queue.list_events(connection, "shop", states=tuple(EventState), limit=9))

    assert await database.read(count) == 1
