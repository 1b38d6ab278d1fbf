"""The bus between processes: word of news, never the news itself."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis as Client

from strongroom.core.clock import SystemClock, SystemEntropy
from strongroom.core.environment import Environment, Secret
from strongroom.core.messaging.bus import COMPONENT, Bus, RedisBus, read_redis_url
from strongroom.core.runtime.telemetry import Health, Status
from support.redis import Redis, running_redis
from support.waiting import eventually, until_true

pytestmark = pytest.mark.anyio


class Heard:
    """Counts the words on a topic."""

    def __init__(self, bus: Bus, topic: str) -> None:
        self.times = 0
        bus.subscribe(topic, self._hear)

    def _hear(self) -> None:
        self.times += 1


@asynccontextmanager
async def connected(redis: Redis) -> AsyncGenerator[tuple[RedisBus, Health]]:
    health = Health()
    bus = RedisBus(Secret(redis.url), SystemClock(), SystemEntropy(), health)
    task = asyncio.ensure_future(bus.run())
    try:
        yield bus, health
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await bus.close()


async def test_without_redis_this_process_is_told() -> None:
    bus = Bus()
    heard, other = Heard(bus, "news"), Heard(bus, "other")
    bus.publish("news")
    bus.publish("nobody listens")
    assert (heard.times, other.times, bus.is_shared) == (1, 0, False)


async def test_other_processes_get_each_message_once(redis: Redis) -> None:
    async with connected(redis) as (here, health), connected(redis) as (there, _):
        mine, theirs, other = Heard(here, "news"), Heard(there, "news"), Heard(there, "other")
        last_here, last_there = Heard(here, "last"), Heard(there, "last")
        await eventually(lambda: here.is_shared and there.is_shared)
        assert health.components()[COMPONENT].status is Status.UP
        heard = [each.times for each in (mine, theirs, other)]
        assert heard == [1, 1, 1]  # a new connection may have missed something
        here.publish("news")
        await eventually(lambda: theirs.times == 2)
        there.publish("news")
        await eventually(lambda: mine.times == 3)
        here.publish("last")
        await eventually(lambda: last_there.times == 2)
        there.publish("last")  # what `here` said itself would come before it
        await eventually(lambda: last_here.times == 3)
        assert (mine.times, theirs.times, other.times) == (3, 3, 1)


async def test_what_is_published_while_a_message_is_on_its_way_has_a_message_of_its_own(redis: Redis) -> None:
    async with (
        connected(redis) as (here, _),
        connected(redis) as (there, _),
        Client.from_url(redis.url) as admin,
    ):
        heard, last = Heard(there, "news"), Heard(there, "last")
        await eventually(lambda: here.is_shared and there.is_shared)
        before = heard.times

        async def is_on_its_way() -> bool:
            return any(one["cmd"] == "publish" and "b" in one["flags"] for one in await admin.client_list())

        await admin.client_pause(60_000, all=False)
        here.publish("news")
        await until_true(is_on_its_way)
        here.publish("news")
        here.publish("last")
        await admin.client_unpause()
        await eventually(lambda: last.times == 2)
        here.publish("last")  # the topics that wait together go in any order, and these two before this one
        await eventually(lambda: last.times == 3)
        assert heard.times - before == 2


async def test_an_outage_delays_word_and_health_says_so() -> None:
    with running_redis() as redis:
        async with connected(redis) as (here, health), connected(redis) as (there, _):
            heard = Heard(there, "news")
            await eventually(lambda: here.is_shared and there.is_shared)
            redis.stop()
            await eventually(lambda: not here.is_shared and not there.is_shared)
            assert health.components()[COMPONENT].status is Status.DEGRADED
            here.publish("news")
            before = heard.times
            redis.start()
            await eventually(lambda: heard.times > before and here.is_shared)
            assert health.components()[COMPONENT].status is Status.UP


async def test_redis_that_is_silent_is_given_up(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongroom.core.messaging.bus.LISTEN_S", 0.1)
    monkeypatch.setattr("strongroom.core.messaging.bus.ANSWER_S", 0.3)
    async with connected(redis) as (bus, _):
        await eventually(lambda: bus.is_shared)
        redis.pause()
        try:
            await eventually(lambda: not bus.is_shared)
        finally:
            redis.resume()
        await eventually(lambda: bus.is_shared)


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, None),
        ({"REDIS_URL": "redis://cache:1/2", "REDIS_HOST": "other"}, "redis://cache:1/2"),
        ({"REDIS_HOST": "cache"}, "redis://cache:6379/0"),
        (
            {"REDIS_HOST": "cache", "REDIS_PORT": "7", "REDIS_PASSWORD": "a/b@c"},
            "redis://:a%2Fb%40c@cache:7/0",
        ),
        ({"REDIS_URL": "localhost", "REDIS_PORT": "6379"}, "redis://localhost:6379/0"),
        ({"REDIS_URL": "cache:6380", "REDIS_PORT": "6379"}, "redis://cache:6380/0"),
        ({"REDIS_URL": "cache:6380/3", "REDIS_PASSWORD": "p@ss"}, "redis://:p%40ss@cache:6380/3"),
        ({"REDIS_URL": "127.0.0.1"}, "redis://127.0.0.1:6379/0"),
        ({"REDIS_URL": "::1", "REDIS_PORT": "6380"}, "redis://[::1]:6380/0"),
        ({"REDIS_URL": "[fd00::7]:6381"}, "redis://[fd00::7]:6381/0"),
        ({"REDIS_HOST": "[fd00::7]"}, "redis://[fd00::7]:6379/0"),
        ({"REDIS_HOST": "cache:6382", "REDIS_PORT": "1"}, "redis://cache:6382/0"),
        ({"REDIS_URL": "user:secret@cache"}, "redis://user:secret@cache:6379/0"),
        ({"REDIS_URL": "rediss://cache", "REDIS_PORT": "7", "REDIS_PASSWORD": "p"}, "rediss://:p@cache:7/0"),
        ({"REDIS_URL": "redis://user@cache/1", "REDIS_PASSWORD": "p"}, "redis://user:p@cache:6379/1"),
        ({"REDIS_URL": "redis://:given@cache", "REDIS_PASSWORD": "other"}, "redis://:given@cache:6379/0"),
        ({"REDIS_URL": "unix:///run/redis.sock?db=1"}, "unix:///run/redis.sock?db=1"),
        ({"REDIS_URL": " localhost "}, "redis://localhost:6379/0"),
    ],
)
def test_where_redis_is(variables: dict[str, str], url: str | None) -> None:
    environment = Environment(variables)
    found = read_redis_url(environment)
    assert (found.reveal() if found else None) == url
    assert environment.mistakes == []


@pytest.mark.parametrize(
    "place",
    [
        "http://cache",
        "cache:secret",
        "redis://",
        "/run/redis.sock",
        "cache:0",
        "cache:99999",
        "a secret place",
    ],
)
@pytest.mark.parametrize("name", ["REDIS_URL", "REDIS_HOST"])
def test_what_is_no_place_of_redis_is_a_mistake_and_not_shown(name: str, place: str) -> None:
    environment = Environment({name: place})
    assert read_redis_url(environment) is None
    (mistake,) = environment.mistakes
    assert mistake.startswith(name)
    assert "secret" not in mistake
