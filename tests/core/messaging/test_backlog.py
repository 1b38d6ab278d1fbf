"""What waits in the outbox is seen."""

from collections.abc import AsyncIterator

import pytest

from strongroom.core.coordination.loops import Loops
from strongroom.core.environment import Environment
from strongroom.core.messaging.backlog import (
    LOOK_S,
    BacklogLimits,
    BacklogWatch,
    read_backlog,
    read_backlog_limits,
    watch_backlog,
)
from strongroom.core.messaging.outbox import Event, Outbox
from strongroom.core.runtime.background import Background
from strongroom.core.runtime.readings import Collection
from strongroom.core.runtime.telemetry import ComponentHealth, Health, Metrics, Status
from strongroom.core.storage.database import Database
from support.clock import ManualClock, SeededEntropy

HERE, THERE = "atto.callback", "hathor.push"
LIMITS = BacklogLimits(entries=3, age_s=60)


class House:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = ManualClock()
        self.outbox = Outbox(self.clock)
        self.metrics = Metrics("strongroom")
        self.watch = BacklogWatch(
            "toy", HERE, database=database, clock=self.clock, metrics=self.metrics, limits=LIMITS
        )
        self._collection = Collection(
            "toy",
            "look",
            self.watch.look,
            clock=self.clock,
            failed=self.metrics.collection_failed,
            every_s=LOOK_S * 100,
        )
        self._sequence = 0

    async def write(self, number: int, destination: str = HERE) -> None:
        first = self._sequence
        self._sequence += number
        events = [Event(stream="one", sequence=first + each, payload="{}") for each in range(number)]
        await self.database.write(lambda c: self.outbox.append(c, destination, events))

    async def look(self) -> ComponentHealth:
        await self._collection.look()
        return self.watch.check()

    def gauge(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, {"ledger": "toy", "destination": HERE})


@pytest.fixture
def house(database: Database) -> House:
    return House(database)


async def test_nothing_waits(house: House) -> None:
    await house.write(9, THERE)
    assert await house.look() == ComponentHealth(status=Status.UP)
    assert house.gauge("strongroom_outbox_entries") == 0
    assert house.gauge("strongroom_outbox_oldest_age_seconds") == 0


async def test_too_many_or_too_old_is_degraded(house: House) -> None:
    await house.write(3)
    assert (await house.look()).status is Status.UP
    await house.write(1)
    assert await house.look() == ComponentHealth(
        status=Status.DEGRADED, detail="4 entries wait, the oldest for 0 s"
    )
    await house.database.write(lambda c: house.outbox.expire(c, HERE, -1))
    assert (await house.look()).status is Status.UP
    await house.write(1)
    house.clock.advance(60)
    assert (await house.look()).status is Status.UP
    house.clock.advance(1)
    assert house.watch.check().status is Status.DEGRADED  # its age grows without a look
    assert house.gauge("strongroom_outbox_entries") == 1
    assert house.gauge("strongroom_outbox_oldest_age_seconds") == 61


async def test_the_backlog_of_an_outbox_reader_counts_from_its_position(house: House) -> None:
    await house.write(3)
    all_of_it = await house.database.read(lambda c: read_backlog(c, HERE))
    assert all_of_it.entries == 3
    assert (await house.database.read(lambda c: read_backlog(c, HERE, after_id=2))).entries == 1
    assert (await house.database.read(lambda c: read_backlog(c, HERE, after_id=3))).oldest_ms is None


@pytest.fixture
async def background() -> AsyncIterator[Background]:
    background = Background()
    yield background
    await background.close()


async def test_the_component_shows_it(house: House, background: Background) -> None:
    health = Health()
    loops = Loops(
        health=health,
        metrics=house.metrics,
        clock=house.clock,
        entropy=SeededEntropy(),
        background=background,
    )
    await house.write(5)
    watch_backlog(loops, "attoCallbacks", house.watch)
    await house.clock.sleeping_for(LOOK_S)
    component = health.components()["attoCallbacks"]
    assert (component.status, component.detail) == (Status.DEGRADED, "5 entries wait, the oldest for 0 s")
    await house.database.write(lambda c: house.outbox.expire(c, HERE, -1))
    house.clock.advance(LOOK_S)
    await house.clock.sleeping_for(LOOK_S)
    assert health.components()["attoCallbacks"].status is Status.UP


def test_the_limits_are_settings() -> None:
    assert read_backlog_limits(Environment({})) == BacklogLimits(entries=1_000, age_s=300)
    variables = {"STRONGROOM_BACKLOG_ENTRIES": "7", "STRONGROOM_BACKLOG_AGE_S": "0"}
    environment = Environment(variables)
    assert read_backlog_limits(environment).entries == 7
    assert environment.mistakes == ["STRONGROOM_BACKLOG_AGE_S must be from 1 to 9223372036854775807, not 0"]
