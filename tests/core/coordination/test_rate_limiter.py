"""Rates are counted over all processes, in the database or in Redis, and alone while neither answers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import event, select
from sqlalchemy.engine import Engine

from strongroom.core.clock import Clock
from strongroom.core.coordination.rate_limiter import AWAY_S, MAX_NAMES, RateLimiter
from strongroom.core.coordination.rate_store import DatabaseRates, Grant, RateStore, RedisRates, grant
from strongroom.core.coordination.rates import Rate, parse_rate
from strongroom.core.environment import Secret
from strongroom.core.errors import StrongroomError, Unavailable
from strongroom.core.runtime.telemetry import Metrics, Status
from strongroom.core.runtime.work_health import WorkHealth
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database, sqlite_url
from support.clock import START_MS, ManualClock
from support.redis import Redis
from support.schema import Schemas
from support.waiting import PATIENCE_S

pytestmark = pytest.mark.anyio
NAME = "token:shop"


async def passed(limiter: RateLimiter, rate: Rate, times: int, name: str = NAME) -> int:
    return [await limiter.take(name, rate) for _ in range(times)].count(0.0)


@pytest.fixture(params=["sqlite", "mariadb", "redis"])
async def stores(
    request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path, schemas: Schemas
) -> AsyncIterator[tuple[RateStore, RateStore]]:
    """What two processes share."""
    if request.param == "redis":
        server: Redis = request.getfixturevalue("redis")
        own = request.node.name
        here, there = (RedisRates(Secret(server.url), own, clock, answer_s=PATIENCE_S) for _ in range(2))
        yield here, there
        await here.close()
        await there.close()
        return
    if request.param == "sqlite":
        url = sqlite_url(str(tmp_path / "rates.sqlite3"))
    else:
        url = request.getfixturevalue("mariadb").new_database()
    schemas.fill(url, ())
    first, second = Database(url), Database(url)
    yield DatabaseRates(first, clock), DatabaseRates(second, clock)
    await first.close()
    await second.close()


async def test_one_process_allows_the_rate_at_once_and_on_average(clock: ManualClock) -> None:
    limiter, rate = RateLimiter(clock), parse_rate("3/min")
    assert [await limiter.take(NAME, rate) for _ in range(4)] == [0, 0, 0, 20]
    clock.advance(15)
    assert await limiter.take(NAME, rate) == pytest.approx(5)
    clock.advance(5)
    assert await passed(limiter, rate, 2) == 1
    clock.advance(3600)
    assert await passed(limiter, rate, 9) == 3
    assert await passed(limiter, rate, 9, name="another") == 3


async def test_two_processes_share_a_rate(stores: tuple[RateStore, RateStore], clock: ManualClock) -> None:
    first, second = (RateLimiter(clock, store, answer_s=PATIENCE_S) for store in stores)
    rate = parse_rate("100/min")
    assert await passed(first, rate, 60) == 60
    assert await passed(second, rate, 60) == 40
    assert await passed(first, rate, 5) == 0
    assert await second.take(NAME, rate) == pytest.approx(0.6)
    clock.advance(6)
    assert await passed(first, rate, 20) + await passed(second, rate, 20) == 10
    clock.advance(3600)
    assert await passed(second, rate, 500) == 100


async def test_they_never_pass_more_than_a_twentieth_each_at_a_time(
    stores: tuple[RateStore, RateStore], clock: ManualClock
) -> None:
    """What a process took ahead before may pass with the full bucket later, and no more than that."""
    limiters = [RateLimiter(clock, store, answer_s=PATIENCE_S) for store in stores]
    rate = parse_rate("100/min")
    assert [await passed(each, rate, 1) for each in limiters] == [1, 1]
    clock.advance(3600)
    together = await asyncio.gather(*(passed(each, rate, 300) for each in limiters))
    assert 100 <= sum(together) <= 100 + 2 * 100 // 20
    hour = sum(together)
    for _ in range(60):
        clock.advance(60)
        hour += sum(await asyncio.gather(*(passed(each, rate, 150) for each in limiters)))
    assert hour <= 61 * 100 + 2 * 100 // 20


async def test_requests_at_the_same_time_are_counted_once_each(
    stores: tuple[RateStore, RateStore], clock: ManualClock
) -> None:
    limiters = [RateLimiter(clock, store, answer_s=PATIENCE_S) for store in stores]
    rate = parse_rate("20/min")
    waits = await asyncio.gather(*(each.take(NAME, rate) for each in limiters for _ in range(30)))
    assert waits.count(0.0) == 20


async def test_a_changed_rate_counts_at_once(stores: tuple[RateStore, RateStore], clock: ManualClock) -> None:
    limiter = RateLimiter(clock, stores[0], answer_s=PATIENCE_S)
    assert await passed(limiter, parse_rate("100/min"), 200) == 100
    assert await passed(limiter, parse_rate("5/s"), 20) == 0
    clock.advance(60)
    assert await passed(limiter, parse_rate("5/s"), 20) == 5


async def test_who_has_used_up_a_longer_rate_waits_no_longer_than_the_new_one_s_time(
    stores: tuple[RateStore, RateStore], clock: ManualClock
) -> None:
    limiter = RateLimiter(clock, stores[0], answer_s=PATIENCE_S)
    assert await passed(limiter, parse_rate("100/h"), 200) == 100
    assert await passed(limiter, parse_rate("60/min"), 10) == 0
    clock.advance(60)
    assert await passed(limiter, parse_rate("60/min"), 100) == 60


async def test_a_clock_that_is_set_back_stops_nobody_for_longer_than_the_rate(
    stores: tuple[RateStore, RateStore], clock: ManualClock
) -> None:
    rate = parse_rate("10/min")
    assert (await stores[0].take(NAME, rate, 100)).requests == 10
    clock.advance(-3_600)
    assert await stores[1].take(NAME, rate, 1) == Grant(requests=0, wait_s=6)


async def test_a_bucket_is_full_after_its_time_though_the_clock_was_set_back(
    database: Database, replica: Database
) -> None:
    before, after = ManualClock(), ManualClock(START_MS - 3_600_000)
    rate = parse_rate("10/min")
    assert (await DatabaseRates(database, before).take(NAME, rate, 100)).requests == 10
    limiter = RateLimiter(after, DatabaseRates(replica, after), answer_s=PATIENCE_S)
    for _ in range(10):
        assert await limiter.take(NAME, rate) == 6
        after.advance(6)
    assert await passed(limiter, rate, 30) == 10
    after.advance(60)
    assert await passed(limiter, rate, 30) == 10


async def test_who_still_takes_from_a_bucket_by_a_clock_ahead_keeps_it_empty(
    database: Database, replica: Database
) -> None:
    ahead, behind = ManualClock(START_MS + 3_600_000), ManualClock()
    rate = parse_rate("10/min")
    first, second = DatabaseRates(database, ahead), DatabaseRates(replica, behind)
    assert (await first.take(NAME, rate, 100)).requests == 10
    for _ in range(20):
        ahead.advance(6)
        behind.advance(6)
        assert (await second.take(NAME, rate, 1)).requests == 0
        assert (await first.take(NAME, rate, 100)).requests == 1


@pytest.mark.parametrize("text", ["1/h", "7/min", "1000000/h", "1000000/s", "13/s"])
def test_a_full_bucket_has_exactly_the_rate(text: str) -> None:
    rate = parse_rate(text)
    full_at_us, taken = 0, 0
    for wanted in [1] * 20 + [rate.requests]:
        granted, full_at_us = grant(full_at_us, START_MS * 1000, rate, wanted)
        taken += granted.requests
    assert taken == rate.requests
    empty, _ = grant(full_at_us, START_MS * 1000, rate, 1)
    assert empty.requests == 0
    later, _ = grant(full_at_us, START_MS * 1000 + round(empty.wait_s * 1_000_000), rate, 1)
    assert later.requests == 1


async def test_most_requests_ask_the_database_nothing(database: Database, clock: ManualClock) -> None:
    limiter = RateLimiter(clock, DatabaseRates(database, clock), answer_s=PATIENCE_S)
    rate, changes = parse_rate("1000/min"), list[str]()

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE"):
            changes.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert await passed(limiter, rate, 1500) == 1000
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert len(changes) == 20


async def test_a_crowd_of_strangers_costs_no_writes(
    stores: tuple[RateStore, RateStore], clock: ManualClock
) -> None:
    asked = Away(stores[0])
    limiter, rate = RateLimiter(clock, asked, answer_s=PATIENCE_S), parse_rate("100/min")
    for number in range(50):
        for _ in range(5):
            assert await limiter.take(f"2001:db8:{number}::/64", rate, is_stranger=True) == 0
    assert asked.asked == 0
    waits = [await limiter.take("2001:db8:7::/64", rate, is_stranger=True) for _ in range(200)]
    assert waits.count(0.0) == 100
    assert asked.asked == 21


async def test_full_buckets_leave_no_rows(database: Database, clock: ManualClock) -> None:
    store = DatabaseRates(database, clock)
    await store.take("one", parse_rate("10/min"), 5)
    await store.take("other", parse_rate("10/min"), 1)
    clock.advance(10)
    await store.purge()
    assert len(await database.fetch_all(select(tables.rate))) == 1
    clock.advance(20)
    await store.purge()
    assert await database.fetch_all(select(tables.rate)) == []


class Away:
    """A store that does not answer while it is told not to."""

    def __init__(self, store: RateStore, error: StrongroomError | None = None) -> None:
        self.error: StrongroomError | None = error
        self.asked = 0
        self._store = store

    async def take(self, name: str, rate: Rate, wanted: int) -> Grant:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return await self._store.take(name, rate, wanted)


def health_of(clock: Clock) -> WorkHealth:
    return WorkHealth("rates", clock, Metrics("test"))


async def test_while_the_store_is_away_each_process_counts_alone(
    database: Database, clock: ManualClock
) -> None:
    store = Away(DatabaseRates(database, clock), Unavailable("The database does not answer"))
    health = health_of(clock)
    limiter, rate = RateLimiter(clock, store, health, answer_s=PATIENCE_S), parse_rate("10/min")
    assert await passed(limiter, rate, 15) == 10
    assert store.asked == 1, "requests do not wait for it again and again"
    assert health.check().status is Status.DEGRADED
    store.error = None
    clock.advance(AWAY_S)
    assert await passed(limiter, rate, 15) == 10
    assert health.check().status is Status.UP


async def test_requests_that_wait_for_a_silent_store_wait_once(clock: ManualClock) -> None:
    class Silent:
        asked = 0

        async def take(self, name: str, rate: Rate, wanted: int) -> Grant:
            del name, rate, wanted
            self.asked += 1
            await asyncio.Event().wait()
            raise AssertionError

    store, rate = Silent(), parse_rate("10/min")
    limiter = RateLimiter(clock, store, answer_s=0.01)
    waits = await asyncio.gather(*(limiter.take(NAME, rate) for _ in range(15)))
    assert (waits.count(0.0), store.asked) == (10, 1)


async def test_redis_that_is_stopped_or_silent_fails_no_request(redis: Redis, clock: ManualClock) -> None:
    store = RedisRates(Secret(redis.url), "atto", clock, answer_s=PATIENCE_S)
    hasty = RedisRates(Secret(redis.url), "atto", clock, answer_s=0.05)
    rate = parse_rate("10/min")
    limiter = RateLimiter(clock, store, health_of(clock), answer_s=PATIENCE_S)
    assert await passed(limiter, rate, 1) == 1
    redis.pause()
    try:
        for impatient in (RateLimiter(clock, hasty), RateLimiter(clock, store, answer_s=0.05)):
            assert await passed(impatient, rate, 15) == 10
    finally:
        redis.resume()
    redis.stop()
    try:
        clock.advance(60)
        assert await passed(limiter, rate, 15) == 10
    finally:
        redis.start()
    clock.advance(60)
    assert await passed(limiter, rate, 15) == 10
    assert await store.take(NAME, rate, 1) == Grant(requests=0, wait_s=6)
    await store.close()
    await hasty.close()


async def test_so_many_names_are_remembered(clock: ManualClock) -> None:
    limiter, rate = RateLimiter(clock), parse_rate("1/h")
    assert await passed(limiter, rate, 1, name="first") == 1
    for number in range(MAX_NAMES - 1):
        await limiter.take(str(number), rate)
    assert await passed(limiter, rate, 1, name="first") == 0
    for number in range(MAX_NAMES):
        await limiter.take(f"more {number}", rate)
    assert await passed(limiter, rate, 1, name="first") == 1
