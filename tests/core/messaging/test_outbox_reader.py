"""Reading the outbox without taking from it."""

from functools import partial

import pytest

from strongroom.core.messaging.outbox import Event, Outbox
from strongroom.core.messaging.outbox_reader import PAGE, OutboxReader
from strongroom.core.storage.database import Database
from support.clock import ManualClock

pytestmark = pytest.mark.anyio

NEWS = "news"


async def write(
    database: Database, outbox: Outbox, *events: tuple[str, int], destination: str = NEWS
) -> None:
    rows = [Event(stream=stream, sequence=number, payload=f"{number}") for stream, number in events]
    await database.write(partial(outbox.append, destination=destination, events=rows))


async def payloads(outbox_reader: OutboxReader, *wanted: str) -> list[str]:
    return [told.payload for told in (await outbox_reader.read(wanted))[0]]


async def test_each_reader_gets_what_comes_after_it_began(database: Database, clock: ManualClock) -> None:
    outbox = Outbox(clock)
    await write(database, outbox, ("a", 1))
    first = OutboxReader(database, NEWS)
    assert await payloads(first, "a", "b") == []
    await write(database, outbox, ("a", 2), ("b", 2))
    await write(database, outbox, ("a", 2), destination="elsewhere")
    second = OutboxReader(database, NEWS)
    assert await payloads(second, "a", "b") == []
    await write(database, outbox, ("b", 3))
    assert await payloads(first, "b") == ["2", "3"]
    assert await payloads(second, "a", "b") == ["3"]
    assert await payloads(first, "a", "b") == []


async def test_many_come_in_pages(database: Database, clock: ManualClock) -> None:
    outbox = Outbox(clock)
    outbox_reader = OutboxReader(database, NEWS)
    await outbox_reader.read(())
    await write(database, outbox, *(("a", number) for number in range(PAGE + 7)))
    found, is_more = await outbox_reader.read({"a"})
    assert (len(found), is_more) == (PAGE, True)
    found, is_more = await outbox_reader.read({"a"})
    assert (len(found), is_more) == (7, False)


async def test_expiry_does_not_confuse_a_reader(database: Database, clock: ManualClock) -> None:
    """Left alone, SQLite would give the id of a deleted last row to the next one."""
    outbox = Outbox(clock)
    outbox_reader = OutboxReader(database, NEWS)
    await outbox_reader.read(())
    for number in range(3):
        await write(database, outbox, ("a", number))
    assert await payloads(outbox_reader, "a") == ["0", "1", "2"]
    clock.advance(100)
    assert await database.write(partial(outbox.expire, destination=NEWS, age_ms=60_000)) == 3
    await write(database, outbox, ("a", 3))
    assert await payloads(outbox_reader, "a") == ["3"]
