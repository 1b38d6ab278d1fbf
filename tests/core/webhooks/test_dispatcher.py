"""The queues of endpoints: how much goes at a time, what wakes them, and what becomes of faults of our own."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection

from strongroom.core.coordination.loops import LoopContext
from strongroom.core.errors import LeaseLost
from strongroom.core.runtime.work_health import WorkHealth
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.storage.database import ANSWER_S, Database
from strongroom.core.webhooks import dispatcher as dispatcher_module
from strongroom.core.webhooks.administration import EndpointChange
from strongroom.core.webhooks.delivery import BATCH, PARALLEL
from strongroom.core.webhooks.endpoint import EndpointState
from strongroom.core.webhooks.queue import EventState, insert_events, row_of
from support.clock import ManualClock
from support.databases import execute_elsewhere
from support.running import running
from support.serving import serving
from support.sql import execute
from support.webhooks.house import BOSS, WebhookHouse, receiving

pytestmark = pytest.mark.anyio
T = TypeVar("T")


class FaultyDatabase(Database):
    """Fails as often as the test says."""

    reads = 0
    writes = 0

    async def write(self, work: Callable[[Connection], T], *, answer_s: float | None = ANSWER_S) -> T:
        if self.writes:
            self.writes -= 1
            raise RuntimeError("canary")
        return await super().write(work, answer_s=answer_s)

    async def read(self, work: Callable[[Connection], T]) -> T:
        if self.reads:
            self.reads -= 1
            raise RuntimeError("canary")
        return await super().read(work)


async def due_in_ms(house: WebhookHouse) -> list[int]:
    return [one.due_at_ms - house.clock.now_ms() for one in await house.events("shop")]


async def test_a_stream_longer_than_a_batch_is_delivered_whole(house: WebhookHouse) -> None:
    async with receiving() as receiver:
        await house.add("shop", receiver.url)
        await house.announce("a", *range(2 * BATCH + 1))
        async with house.delivering():
            await house.until(lambda: len(receiver.taken) == 2 * BATCH + 1)
    assert receiver.numbers("a") == [*range(2 * BATCH + 1)]


class SlowReceiver:
    """An ASGI application that answers when the test says so."""

    def __init__(self) -> None:
        self.under_way = self.most = 0
        self.release = asyncio.Event()

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await self.release.wait()
        self.under_way -= 1
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def test_so_many_streams_are_tried_at_the_same_time_and_no_more(house: WebhookHouse) -> None:
    slow = SlowReceiver()
    async with serving(slow) as url:
        await house.add("shop", url)
        for number in range(PARALLEL + 4):
            await house.announce(f"stream {number}", number)
        async with house.delivering():
            await house.until_heard(lambda: slow.under_way == PARALLEL)
            for _ in range(20):
                house.clock.advance(1)
                await asyncio.sleep(0)
            assert slow.most == PARALLEL
            slow.release.set()
            await house.until_states("shop", ["delivered"] * (PARALLEL + 4))
    assert slow.most == PARALLEL


async def test_an_attempt_that_is_under_way_ends_with_the_term_and_is_not_counted(
    house: WebhookHouse,
) -> None:
    slow = SlowReceiver()
    async with serving(slow) as url:
        await house.add("shop", url)
        await house.announce("a", 1)
        async with house.delivering():
            await house.until_heard(lambda: slow.under_way == 1)
        await house.traffic.settle()
        (event,) = await house.events("shop")
        assert (event.state, event.attempts) == (EventState.WAITING, 0)
        slow.release.set()


async def test_the_time_of_a_failed_attempt_is_recorded(house: WebhookHouse) -> None:
    async with receiving(lambda _: 500) as receiver:
        await house.add("shop", receiver.url)
        await house.announce("a", 1)
        async with house.delivering():
            await house.until(lambda: len(receiver.attempts) == 1)
            (event,) = await house.events("shop")
    assert (event.attempts, event.status, event.trouble) == (1, 500, "it answered with status 500")
    assert event.since_ms == house.clock.now_ms()
    assert 2_500 <= event.due_at_ms - house.clock.now_ms() <= 5_000


@pytest.mark.parametrize(("asked_s", "waited_s"), [(1, 5), (600, 600), (7200, 3600)])
async def test_an_endpoint_may_ask_for_a_longer_pause_up_to_an_hour(
    house: WebhookHouse, asked_s: int, waited_s: int
) -> None:
    async with receiving(lambda _: 503) as receiver:
        receiver.headers = ((b"retry-after", str(asked_s).encode()),)
        await house.add("shop", receiver.url)
        await house.announce("a", 1)
        async with house.delivering():
            await house.until(lambda: len(receiver.attempts) == 1)
            (due_ms,) = await due_in_ms(house)
    assert waited_s * 500 <= due_ms <= waited_s * 1000
    assert due_ms == waited_s * 1000 or asked_s == 1


async def test_an_answer_410_is_kept_with_the_event_and_in_the_trail(house: WebhookHouse) -> None:
    async with receiving(lambda _: 410) as receiver:
        await house.add("shop", receiver.url)
        await house.announce("a", 1)
        async with house.delivering():
            await house.until(lambda: len(receiver.attempts) == 1)
            await house.pass_s(3)
    status = await house.administration.show("shop")
    assert (status.endpoint.state, status.endpoint.version) == (EndpointState.DISABLED, 2)
    (event,) = await house.events("shop")
    assert (event.state, event.attempts, event.status) == (EventState.WAITING, 1, 410)
    query = "SELECT principal, subject, details FROM strongroom_audit WHERE action = 'webhook.disable'"
    (row,) = await house.database.read(lambda c: execute(c, query))
    told = '{"reason":"it answered 410 Gone: it wants no more events"}'
    assert (row[0], row[1], row[2].replace('": "', '":"')) == ("system:webhooks", status.endpoint.id, told)
    await house.watch.look()
    assert house.watch.check().detail == "shop is disabled: it answered 410 Gone: it wants no more events"


async def test_an_endpoint_that_people_disabled_worries_nobody(house: WebhookHouse) -> None:
    await house.add("shop", "http://127.0.0.1:1025/")
    await house.administration.change(BOSS, "shop", EndpointChange(is_active=False))
    await house.watch.look()
    assert house.watch.check().detail is None


async def test_a_changed_endpoint_is_looked_at_again_within_a_minute_and_when_it_is_mended(
    house: WebhookHouse,
) -> None:
    async with receiving() as receiver:
        await house.add("shop", receiver.url)
        url = house.database.url
        execute_elsewhere(url, """UPDATE strongroom_webhook SET wallets = '["x"]'""")
        house.forget_endpoints()
        await house.announce("a", 1, wallet="x")
        async with house.delivering():
            await house.until(lambda: "shop" in house.dispatcher.troubles())
            execute_elsewhere(url, "UPDATE strongroom_webhook SET wallets = '[]'")
            await house.pass_s(10)
            assert receiver.taken == [], "it pauses"
            execute_elsewhere(url, "UPDATE strongroom_webhook SET version = version + 1")
            await house.pass_s(2)
            assert len(receiver.taken) == 1
            assert house.dispatcher.troubles() == {}


async def test_while_sealed_it_looks_each_second(house: WebhookHouse) -> None:
    async with receiving() as receiver:
        await house.add("shop", receiver.url)
        await house.announce("a", 1)
        house.key.close()
        async with house.delivering():
            await house.pass_s(60)
            house.key.open(bytes(range(32)))
            await house.pass_s(1.2)
            assert len(receiver.taken) == 1
        assert house.dispatcher.troubles() == {}


async def test_a_fault_of_the_database_is_tried_again_after_a_second(
    database: Database, clock: ManualClock
) -> None:
    faulty = FaultyDatabase(database.url)
    house = WebhookHouse(faulty, clock)
    async with receiving() as receiver:
        await house.add("shop", receiver.url)
        async with house.delivering():
            await house.pass_s(2)
            await house.announce("a", 1, 2)
            faulty.writes = 1
            await house.until(lambda: len(receiver.taken) == 1)
            await house.pass_s(0.6)
            assert len(receiver.taken) == 1, "not at once"
            await house.pass_s(1.8)
            assert receiver.numbers("a") == [1, 1, 2], "what was not recorded comes again"
    await faulty.close()


async def test_whoever_lost_the_lease_ends_though_it_only_delivers(
    house: WebhookHouse, second: WebhookHouse
) -> None:
    async with receiving() as receiver:
        await house.add("shop", receiver.url)
        paused = await house.lease()
        await second.lease()
        await house.announce("a", 1)
        with pytest.raises(LeaseLost):
            async with house.delivering(paused):
                await house.pass_s(5)
    assert await house.states("shop") == ["waiting"]


async def test_it_needs_a_lease(house: WebhookHouse) -> None:
    health = WorkHealth("toyWebhooks.delivery", house.clock, house.metrics)
    with pytest.raises(LeaseLost, match="needs a lease"):
        await house.dispatcher.run(LoopContext(health=health, lease=None))


async def test_it_reports_to_health(house: WebhookHouse) -> None:
    health = WorkHealth("toyWebhooks.delivery", house.clock, house.metrics)
    async with running(house.dispatcher.run(LoopContext(health=health, lease=await house.lease()))):
        await house.pass_s(3)
    assert health.successes > 1


async def test_what_a_slow_transaction_commits_behind_a_later_one_is_found(house: WebhookHouse) -> None:
    """Ids are given out before the commit. Each look goes back a thousand rows, and to the beginning each half minute."""
    async with receiving() as receiver:
        await house.add("shop", receiver.url)
        endpoint = (await house.administration.show("shop")).endpoint.id

        def insert(row: int, stream: str) -> Callable[[Connection], None]:
            values = row_of(
                endpoint=endpoint,
                event=stream,
                kind="coin.minted",
                stream=stream,
                payload=f'{{"data":{{"stream":"{stream}","n":{row}}}}}',
                now_ms=house.clock.now_ms(),
            )
            return lambda connection: insert_events(connection, [{"id": row, **values}])

        async with house.delivering():
            await house.database.write(insert(5_000, "later"))
            await house.until(lambda: receiver.numbers("later") == [5_000])
            await house.database.write(insert(4_500, "near"))
            await house.pass_s(2)
            assert receiver.numbers("near") == [4_500]
            await house.database.write(insert(3_000, "far"))
            await house.pass_s(32)
            assert receiver.numbers("far") == [3_000]


async def test_an_endpoint_that_is_disabled_gets_nothing_more_and_goes_on_when_enabled(
    house: WebhookHouse,
) -> None:
    status = 500
    async with receiving(lambda _: status) as receiver, receiving() as other:
        await house.add("shop", receiver.url)
        await house.add("other", other.url)
        await house.announce("a", 1)
        async with house.delivering():
            await house.until(lambda: len(receiver.attempts) == 1)
            await house.administration.change(BOSS, "shop", EndpointChange(is_active=False))
            house.forget_endpoints()
            await house.announce("a", 2)
            status = 200
            await house.pass_s(30)
            assert len(receiver.attempts) == 1
            assert other.numbers("a") == [1, 2]
            await house.administration.change(BOSS, "shop", EndpointChange(is_active=True))
            await house.until(lambda: receiver.numbers("a") == [1])
            assert await house.states("shop") == ["delivered"], "nothing new waited for it meanwhile"


async def test_what_is_announced_is_sent_before_the_next_look(
    house: WebhookHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher_module, "LOOK_S", 10_000.0)
    async with receiving() as receiver:
        await house.add("shop", receiver.url)
        async with house.delivering():
            await house.pass_s(1)
            await house.announce("a", 1)
            await house.traffic.settle()
            await house.pass_s(0.02, step_s=0.02)
            assert len(receiver.taken) == 1
        await house.announce("a", 2)  # nobody listens any more
    assert await house.states("shop") == ["delivered", "waiting"]


async def test_old_deliveries_are_forgotten_and_new_ones_kept(
    house: WebhookHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strongroom.core.webhooks.queue.PURGED_AT_ONCE", 2)
    async with receiving() as receiver:
        await house.add("shop", receiver.url)
        await house.announce("a", 1, 2, 3, 4, 5)
        async with house.delivering():
            await house.until_states("shop", ["delivered"] * 5)
            await house.pass_s(60)
            await house.announce("a", 6)
            await house.until_states("shop", ["delivered"] * 6)
    await house.dispatcher.forget_delivered(50_000)
    assert len(await house.states("shop")) == 1


async def test_an_endpoint_that_is_deaf_is_shown_after_a_minute(house: WebhookHouse) -> None:
    status = 500
    async with receiving(lambda _: status) as receiver:
        await house.add("shop", receiver.url)
        await house.announce("a", 1)
        async with house.delivering():
            await house.until(lambda: len(receiver.attempts) == 1)
            (event,) = await house.events("shop")
            assert event.since_ms is not None
            await house.pass_until_ms(event.since_ms + 60_000)
            await house.watch.look()
            assert house.watch.check().detail is None
            await house.pass_until_ms(event.since_ms + 60_001)
            await house.watch.look()
            expected = "shop: 1 events wait, it fails for 60 s (it answered with status 500)"
            assert house.watch.check().detail == expected


async def test_both_troubles_of_two_endpoints_are_shown(database: Database, clock: ManualClock) -> None:
    house = WebhookHouse(database, clock)
    for name in ("one", "two"):
        await house.add(name, "http://127.0.0.1:1025/")
    other = WebhookHouse(database, clock, key=TrailKey(bytes(32)))
    await house.announce("a", 1)
    async with other.delivering():
        await other.until(lambda: len(other.dispatcher.troubles()) == 2)
        await other.watch.look()
        why = "the endpoint was changed past the service, or sealed under another key"
        assert other.watch.check().detail == f"one gets nothing: {why}; two gets nothing: {why}"
    assert other.dispatcher.troubles() == {}
