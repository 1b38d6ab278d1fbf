"""Events of a stream are delivered in order, at least once, and do not wait for other streams."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, delete, select

from core.accounts import add, balances, create_accounts
from strongroom.core.messaging import outbox as outbox_module
from strongroom.core.messaging.outbox import (
    FIRST_RETRY_S,
    MAX_RETRY_S,
    Destination,
    Dispatcher,
    Event,
    Outbox,
)
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from support.clock import START_MS, ManualClock, SeededEntropy
from support.running import PATIENCE_S, running

HOOK = "hook"


class Receiver:
    """The receiver: takes events, or refuses those of the streams that the test names."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, int]] = []
        self.refusals = 0
        self.refused: set[str | tuple[str, int]] = set()
        self.held = asyncio.Event()
        self.held.set()
        self._news = asyncio.Event()

    async def __call__(self, event: Event) -> None:
        if self.refused & {event.stream, (event.stream, event.sequence)}:
            self.refusals += 1
            self._news.set()
            raise ConnectionError("the other side is away")
        self.taken.append((event.stream, event.sequence))
        self._news.set()
        await self.held.wait()

    async def until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not reached():
                self._news.clear()
                await self._news.wait()

    def of(self, stream: str) -> list[int]:
        return [sequence for name, sequence in self.taken if name == stream]


class House:
    """A process that writes events and delivers them."""

    def __init__(self, database: Database, clock: ManualClock, *, parallel: int = 32) -> None:
        self.database = database
        self.outbox = Outbox(clock)
        self.receiver = Receiver()
        self.fail_to_record = 0
        self.dispatcher = Dispatcher(
            Destination(name=HOOK, deliver=self.receiver, delivered=self._record, parallel=parallel),
            database=database,
            outbox=self.outbox,
            clock=clock,
            entropy=SeededEntropy(),
        )

    def _record(self, connection: Connection, event: Event) -> None:
        add(connection, "a", event.sequence)
        if self.fail_to_record:
            self.fail_to_record -= 1
            raise RuntimeError("power cut")

    async def send(self, stream: str, *sequences: int, destination: str = HOOK) -> None:
        events = [
            Event(stream=stream, sequence=sequence, payload=f'{{"n":{sequence}}}') for sequence in sequences
        ]
        await self.database.write(lambda connection: self.outbox.append(connection, destination, events))
        self.outbox.wake_delivery(destination, stream)

    async def until_empty(self) -> None:
        """Every delivery is recorded."""
        async with asyncio.timeout(PATIENCE_S):
            while await self.dispatcher.backlog():  # noqa: ASYNC110 - a commit gives no signal
                await asyncio.sleep(0.001)


@pytest.fixture
async def house(database: Database, clock: ManualClock) -> House:
    await create_accounts(database, "a")
    return House(database, clock)


async def test_an_event_is_written_with_what_caused_it_or_not_at_all(house: House) -> None:
    def work(connection: Connection) -> None:
        house.outbox.append(connection, HOOK, [Event(stream="s", sequence=1, payload="{}")])
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        await house.database.write(work)
    assert await house.dispatcher.backlog() == 0


async def test_an_event_is_stored_once_and_as_it_was_first(house: House, clock: ManualClock) -> None:
    await house.send("s", 1, 2)
    clock.advance(1)
    payloads = [Event(stream="s", sequence=number, payload="[]") for number in (2, 3)]
    await house.database.write(lambda connection: house.outbox.append(connection, HOOK, payloads))
    await house.database.write(lambda connection: house.outbox.append(connection, HOOK, []))
    columns = tables.outbox.c
    query = select(
        columns.destination, columns.stream, columns.sequence, columns.payload, columns.created_at_ms
    )
    assert sorted(map(tuple, await house.database.fetch_all(query))) == [
        ("hook", "s", 1, '{"n":1}', START_MS),
        ("hook", "s", 2, '{"n":2}', START_MS),
        ("hook", "s", 3, "[]", START_MS + 1000),
    ]


async def test_a_stream_is_delivered_in_order_of_sequence(house: House) -> None:
    await house.send("s", 3, 1)
    await house.send("s", 2)
    async with running(house.dispatcher.run()):
        await house.until_empty()
        await house.send("s", 5, 4)
        await house.until_empty()
    assert house.receiver.taken == [("s", number) for number in (1, 2, 3, 4, 5)]
    assert await balances(house.database) == {"a": 15}


async def test_more_events_than_a_batch_are_all_delivered(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "BATCH", 3)
    await house.send("s", *range(1, 9))
    async with running(house.dispatcher.run()):
        await house.until_empty()
    assert house.receiver.of("s") == list(range(1, 9))


async def test_what_comes_during_a_delivery_is_delivered_after_it(house: House) -> None:
    house.receiver.held.clear()
    async with running(house.dispatcher.run()):
        await house.send("s", 1)
        await house.receiver.until(lambda: house.receiver.of("s") == [1])
        await house.send("s", 2)
        await house.send("t", 1)
        await house.receiver.until(lambda: house.receiver.of("t") == [1])
        assert house.receiver.of("s") == [1], "streams wait for nobody else, events for those before them"
        house.receiver.held.set()
        await house.until_empty()
    assert house.receiver.of("s") == [1, 2]


async def test_what_comes_as_a_delivery_ends_is_not_left_until_the_next_look(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = house.dispatcher._next_events

    async def look_too_early(stream: str) -> list[tuple[int, Event]]:
        events = await look(stream)
        if not events and house.receiver.of("s") == [1]:
            await house.send("s", 2)
        return events

    monkeypatch.setattr(house.dispatcher, "_next_events", look_too_early)
    monkeypatch.setattr(outbox_module, "POLL_S", 3600.0)  # it is told, and does not find it by looking again
    await house.send("s", 1)
    async with running(house.dispatcher.run()):
        await house.receiver.until(lambda: house.receiver.of("s") == [1, 2])


async def test_an_event_that_takes_another_s_place_during_its_delivery_is_delivered_too(house: House) -> None:
    """An operator who abandons blocks takes their events back, and the network's blocks get events of the same numbers."""
    await house.send("s", 1, 2, 3)
    house.receiver.held.clear()
    async with running(house.dispatcher.run()):
        await house.receiver.until(lambda: house.receiver.taken == [("s", 1)])
        await house.database.write(lambda connection: connection.execute(delete(tables.outbox)))
        await house.send("s", 1)
        house.receiver.held.set()
        await house.until_empty()
    assert house.receiver.of("s") == [1, 1]  # and not those that were taken back
    assert await balances(house.database) == {
        "a": 1
    }  # the delivery of the first one is not recorded for the other


async def test_another_destination_s_events_are_left_alone(house: House) -> None:
    await house.send("s", 1, destination="other")
    async with running(house.dispatcher.run()):
        await house.send("s", 2)
        await house.until_empty()
    assert house.receiver.taken == [("s", 2)]
    assert len(await house.database.fetch_all(select(tables.outbox))) == 1


async def test_a_refused_stream_does_not_hold_up_the_others(database: Database, clock: ManualClock) -> None:
    await create_accounts(database, "a")
    house = House(database, clock, parallel=1)
    house.receiver.refused = {"bad"}
    await house.send("bad", 1, 2)
    async with running(house.dispatcher.run()):
        await house.receiver.until(lambda: house.receiver.refusals == 1)
        await clock.sleepers(1)
        for number in range(1, 6):
            await house.send("good", number)
        await house.receiver.until(lambda: house.receiver.of("good") == [1, 2, 3, 4, 5])
        assert house.receiver.refusals == 1
        house.receiver.refused = set()
        clock.advance(MAX_RETRY_S)
        await house.until_empty()
    assert house.receiver.of("bad") == [1, 2]


async def test_a_refused_event_is_tried_again_after_ever_longer_pauses(
    house: House, clock: ManualClock
) -> None:
    house.receiver.refused = {"s"}
    await house.send("s", 1, 2)
    ceilings = [min(MAX_RETRY_S, FIRST_RETRY_S * 2**number) for number in range(10)]
    async with running(house.dispatcher.run()):
        for number, ceiling in enumerate(ceilings):
            [pause] = await clock.sleepers(1)
            assert ceiling / 2 <= pause <= ceiling
            assert house.receiver.refusals == number + 1
            clock.advance(pause)
        [pause] = await clock.sleepers(1)
        house.receiver.refused = {("s", 2)}
        clock.advance(pause)
        [pause] = await clock.sleepers(1)
        assert pause <= FIRST_RETRY_S, "a success starts the series afresh"


async def test_an_event_whose_delivery_was_not_recorded_is_delivered_again(
    house: House, clock: ManualClock
) -> None:
    house.fail_to_record = 1
    await house.send("s", 1, 2)
    async with running(house.dispatcher.run()):
        [pause] = await clock.sleepers(1)
        assert await balances(house.database) == {"a": 0}
        clock.advance(pause)
        await house.until_empty()
    assert house.receiver.of("s") == [1, 1, 2]
    assert await balances(house.database) == {"a": 3}


async def test_a_process_that_dies_between_delivery_and_record_loses_nothing(
    house: House, replica: Database, clock: ManualClock
) -> None:
    house.receiver.held.clear()
    await house.send("s", 1, 2)
    async with running(house.dispatcher.run()):
        await house.receiver.until(lambda: house.receiver.of("s") == [1])
    heir = House(replica, clock)
    async with running(heir.dispatcher.run()):
        await heir.until_empty()
    assert heir.receiver.of("s") == [1, 2]
    assert await balances(replica) == {"a": 3}


async def test_events_of_another_process_are_found_by_looking(
    house: House, replica: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "POLL_S", 0.02)
    async with running(house.dispatcher.run()):
        await house.send("s", 1)
        await house.until_empty()
        await House(replica, clock).send("t", 1)
        clock.advance(1)
        await house.receiver.until(lambda: house.receiver.of("t") == [1])


async def test_many_streams_are_delivered_side_by_side_up_to_the_limit(
    database: Database, clock: ManualClock
) -> None:
    await create_accounts(database, "a")
    house = House(database, clock, parallel=3)
    house.receiver.held.clear()
    for number in range(5):
        await house.send(f"s{number}", 1)
    async with running(house.dispatcher.run()):
        await house.receiver.until(lambda: len(house.receiver.taken) == 3)
        house.receiver.held.set()
        await house.until_empty()
    assert sorted(house.receiver.taken) == [(f"s{number}", 1) for number in range(5)]


@pytest.mark.parametrize("seed", range(3))
async def test_random_faults_neither_lose_nor_reorder(
    database: Database, clock: ManualClock, seed: int
) -> None:
    """Dispatchers come and go while the other side fails at random."""
    await create_accounts(database, "a")
    chance = SeededEntropy(seed)
    streams = [f"s{number}" for number in range(4)]
    sent = dict.fromkeys(streams, 0)
    taken: list[tuple[str, int]] = []
    for life in range(8):
        house = House(database, clock)
        house.fail_to_record = life % 3

        async def send(house: House = house) -> None:
            for stream in streams:
                sent[stream] += 1
                house.receiver.refused = {name for name in streams if chance.uniform(0, 1) < 0.3}
                await house.send(stream, sent[stream])

        async with running(house.dispatcher.run()):
            await send()
            clock.advance(MAX_RETRY_S)
        taken += house.receiver.taken
    house = House(database, clock)
    async with running(house.dispatcher.run()):
        await house.until_empty()
    taken += house.receiver.taken
    for stream in streams:
        first_times = list(dict.fromkeys(sequence for name, sequence in taken if name == stream))
        assert first_times == list(range(1, 9)), f"seed {seed}"
    assert await balances(database) == {"a": 4 * sum(range(1, 9))}


async def test_old_events_of_one_destination_expire(database: Database, clock: ManualClock) -> None:
    outbox = Outbox(clock)

    def write(destination: str, sequence: int) -> Callable[[Connection], None]:
        event = Event(stream="wallet", sequence=sequence, payload="{}")
        return lambda connection: outbox.append(connection, destination, [event])

    await database.write(write(HOOK, 1))
    await database.write(write("realtime", 1))
    clock.advance(60)
    await database.write(write("realtime", 2))
    assert await database.write(lambda connection: outbox.expire(connection, "realtime", 60_000)) == 0
    clock.advance(1)
    assert await database.write(lambda connection: outbox.expire(connection, "realtime", 60_000)) == 1
    rows = await database.fetch_all(select(tables.outbox.c.destination, tables.outbox.c.sequence))
    assert sorted(tuple(row) for row in rows) == [(HOOK, 1), ("realtime", 2)]
