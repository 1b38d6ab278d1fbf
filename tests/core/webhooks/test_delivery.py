"""Events reach every endpoint that wants them: at least once, each stream in its order, and no endpoint waits for another."""

import socket
from itertools import pairwise

import pytest

from strongroom.core.errors import LeaseLost
from strongroom.core.webhooks.administration import EndpointChange
from strongroom.core.webhooks.delivery import PARALLEL
from strongroom.core.webhooks.endpoint import EndpointState
from strongroom.core.webhooks.queue import EventState
from support.webhooks.house import BOSS, Delivery, WebhookHouse, receiving

pytestmark = pytest.mark.anyio
DAY_S = 86_400.0
DAY_MS = 86_400_000


async def test_an_event_reaches_each_endpoint_that_wants_it(house: WebhookHouse) -> None:
    async with receiving() as all_, receiving() as coins, receiving() as hot:
        await house.add("all", all_.url)
        await house.add("coins", coins.url, kinds=["coin.*"])
        await house.add("hot", hot.url, wallets=["hot"])
        await house.announce("a", 1, wallet="hot")
        await house.announce("a", 2, kind="payment.signed", wallet="hot")
        await house.announce("a", 3, wallet="cold")
        await house.announce("a", 4)
        async with house.delivering():
            await house.until(lambda: len(all_.taken) == 4 and len(coins.taken) == 3 and len(hot.taken) == 2)
    assert all_.numbers("a") == [1, 2, 3, 4]
    assert coins.numbers("a") == [1, 3, 4]
    assert hot.numbers("a") == [1, 2]
    assert [one.id for one in coins.taken] == [all_.taken[at].id for at in (0, 2, 3)], "ids are the events'"


async def test_the_body_follows_the_schema(house: WebhookHouse) -> None:
    async with receiving() as receiver:
        await house.add("shop", receiver.url)
        await house.announce("a", 7)
        async with house.delivering():
            await house.until(lambda: bool(receiver.taken))
    taken = receiver.taken[0]
    assert taken.document == {
        "type": "coin.minted",
        "timestamp": "2027-01-15T08:00:00.500Z",
        "id": taken.id,
        "version": 1,
        "data": {"ledger": "toy", "stream": "a", "n": 7},
    }
    assert taken.headers["content-type"] == "application/json"
    assert taken.headers["user-agent"] == "strongroom-webhooks/1"
    assert taken.id.startswith("evt_")


async def test_nothing_is_written_where_nobody_wants_it(house: WebhookHouse) -> None:
    await house.announce("a", 1)
    await house.add("payments", "http://127.0.0.1:9999/", kinds=["payment.*"])
    await house.announce("a", 2)
    assert await house.states("payments") == []


async def test_an_endpoint_of_another_process_gets_what_is_announced_a_second_later(
    house: WebhookHouse, second: WebhookHouse
) -> None:
    await second.announce("a", 1)  # it has looked now, and found none
    await house.administration.add(BOSS, "shop", "http://127.0.0.1:9999/")
    second.clock.advance(0.49)
    await second.announce("a", 2)
    assert await house.states("shop") == [], "what it has seen counts for half a second"
    second.clock.advance(0.01)
    await second.announce("a", 3)
    assert len(await house.states("shop")) == 1


async def test_a_fact_that_is_announced_twice_is_one_event(house: WebhookHouse) -> None:
    await house.add("shop", "http://127.0.0.1:9999/")
    await house.announce("a", 1)
    await house.announce("a", 1)
    assert len(await house.states("shop")) == 1
    await house.announce("a", 1, keyed=False)
    await house.announce("a", 1, keyed=False)
    assert len(await house.states("shop")) == 3


async def test_a_stream_keeps_its_order_and_others_go_on(house: WebhookHouse) -> None:
    refused = {("a", 2)}

    def status(one: Delivery) -> int:
        return 500 if (one.document["data"]["stream"], one.number) in refused else 200

    async with receiving(status) as receiver:
        await house.add("shop", receiver.url)
        await house.announce("a", 1, 2, 3)
        await house.announce("b", 1, 2)
        async with house.delivering():
            await house.until(lambda: receiver.numbers("b") == [1, 2] and len(receiver.attempts) >= 6)
            assert receiver.numbers("a") == [1], "3 waits for 2"
            refused.clear()
            await house.until(lambda: len(receiver.taken) == 5, step_s=5)
    assert receiver.numbers("a") == [1, 2, 3]


async def test_a_deaf_endpoint_delays_no_other(house: WebhookHouse) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # it takes connections and never reads from them
        async with receiving() as receiver:
            await house.add("deaf", f"http://127.0.0.1:{deaf.getsockname()[1]}/")
            await house.add("shop", receiver.url)
            for number in range(20):
                await house.announce(f"stream {number}", number)
            async with house.delivering():
                await house.until_heard(lambda: len(receiver.taken) == 20)
    assert await house.states("deaf") == ["waiting"] * 20


async def test_pauses_grow_with_jitter_up_to_an_hour_and_end_after_a_day(house: WebhookHouse) -> None:
    moments: list[int] = []

    def status(one: Delivery) -> int:
        if one.number == 1:
            moments.append(house.clock.now_ms())
        return 500

    async with receiving(status) as receiver:
        await house.add("shop", receiver.url)
        await house.announce("a", 1, 2)
        async with house.delivering():
            await house.until(lambda: len(moments) == 1)
            while (event := (await house.events("shop"))[0]).state is EventState.WAITING:
                await house.pass_until_ms(event.due_at_ms - 1)
                assert len(moments) == event.attempts, "not before its time"
                await house.pass_until_ms(event.due_at_ms)
                assert len(moments) == event.attempts + 1
            assert await house.states("shop") == ["dead", "waiting"]
    pauses = [later - earlier for earlier, later in pairwise(moments)]
    assert moments[-1] - moments[0] == DAY_MS, "the last attempt is at the end of the day"
    ceilings = [min(3_600_000, 5_000 * 2**attempts) for attempts in range(len(pauses))]
    assert all(most / 2 <= each <= most for each, most in zip(pauses[:-1], ceilings[:-1], strict=True)), (
        "half of the pause or more, up to all of it"
    )
    assert len(set(pauses[-10:])) > 1, "they are random"
    assert 30 < len(moments) < 60
    first, last = [one for one in receiver.attempts if one.number == 1][:: len(moments) - 1]
    assert (first.id, first.body) == (last.id, last.body), "the same event every time"
    assert first.headers["webhook-timestamp"] != last.headers["webhook-timestamp"]


async def test_an_endpoint_that_is_deaf_for_less_than_a_day_loses_nothing(house: WebhookHouse) -> None:
    status = 503
    async with receiving(lambda _: status) as receiver:
        await house.add("shop", receiver.url)
        await house.announce("a", *range(5))
        async with house.delivering():
            await house.until(lambda: bool(receiver.attempts))
            for hour in range(22):
                await house.announce("b", hour)
                await house.pass_s(3600, step_s=300)
            status = 200
            await house.until(lambda: len(receiver.taken) == 27, step_s=60)
    assert receiver.numbers("a") == [0, 1, 2, 3, 4]
    assert receiver.numbers("b") == [*range(22)]


async def test_what_was_written_in_a_day_of_silence_dies_and_is_replayed_in_its_order(
    house: WebhookHouse,
) -> None:
    async with receiving() as receiver:
        nobody = "http://127.0.0.1:1025/"
        await house.add("shop", nobody)
        await house.announce("a", 1, 2, 3)
        async with house.delivering():
            await house.pass_s(7200, step_s=60)
            await house.announce("a", 4)
            await house.until_states("shop", ["dead", "dead", "dead", "waiting"], step_s=300)
            change = EndpointChange(url=receiver.url)
            await house.administration.change(BOSS, "shop", change)
            assert await house.administration.replay(BOSS, "shop") == 3
            await house.until(lambda: len(receiver.taken) == 4)
    assert sorted(receiver.numbers("a")) == [1, 2, 3, 4]
    assert [n for n in receiver.numbers("a") if n < 4] == [1, 2, 3]


async def test_a_delivered_event_is_replayed_by_its_id_alone(house: WebhookHouse) -> None:
    async with receiving() as receiver:
        await house.add("shop", receiver.url)
        await house.announce("a", 1, 2)
        async with house.delivering():
            await house.until_states("shop", ["delivered", "delivered"])
            assert await house.administration.replay(BOSS, "shop") == 0
            assert await house.administration.replay(BOSS, "shop", event=receiver.taken[0].id) == 1
            await house.until(lambda: len(receiver.taken) == 3)
    assert receiver.numbers("a") == [1, 2, 1]
    assert receiver.taken[2].id == receiver.taken[0].id


async def test_gone_disables_the_endpoint_and_nothing_more_is_written_for_it(house: WebhookHouse) -> None:
    async with receiving(lambda _: 410) as receiver:
        await house.add("shop", receiver.url)
        await house.announce("a", 1)
        async with house.delivering():
            await house.until(lambda: bool(receiver.attempts))
            await house.pass_s(60)
            status = (await house.administration.show("shop")).endpoint
            assert (status.state, status.reason) == (
                EndpointState.DISABLED,
                "it answered 410 Gone: it wants no more events",
            )
            await house.announce("a", 2)
            assert await house.states("shop") == ["waiting"]
            assert len(receiver.attempts) == 1
            receiver.status = lambda _: 200
            await house.administration.change(BOSS, "shop", EndpointChange(is_active=True))
            await house.until(lambda: receiver.numbers("a") == [1])


async def test_an_endpoint_says_how_long_to_wait(house: WebhookHouse) -> None:
    async with receiving(lambda _: 429) as receiver:
        receiver.headers = ((b"retry-after", b"600"),)
        await house.add("shop", receiver.url)
        await house.announce("a", 1)
        async with house.delivering():
            await house.until(lambda: len(receiver.attempts) == 1)
            await house.pass_s(599, step_s=1)
            assert len(receiver.attempts) == 1
            await house.pass_s(1)
            assert len(receiver.attempts) == 2


async def test_while_the_service_is_sealed_deliveries_wait(house: WebhookHouse) -> None:
    async with receiving() as receiver:
        await house.add("shop", receiver.url)
        house.key.close()
        await house.announce("a", 1, 2)
        async with house.delivering():
            await house.pass_s(2 * DAY_S, step_s=3600)
            assert receiver.attempts == []
            house.key.open(bytes(range(32)))
            await house.until(lambda: receiver.numbers("a") == [1, 2])


async def test_two_processes_deliver_nothing_out_of_order(house: WebhookHouse, second: WebhookHouse) -> None:
    async with receiving() as receiver:
        await house.add("shop", receiver.url)
        await house.announce("a", *range(10))
        paused = await house.lease()
        taken = await second.lease()
        async with second.delivering(taken):
            await house.until(lambda: len(receiver.taken) == 10)
        await house.announce("a", 10, 11, 12)
        with pytest.raises(LeaseLost):
            async with house.delivering(paused):
                await house.pass_s(30)
        async with second.delivering(taken):
            await house.until(lambda: receiver.numbers("a")[-1:] == [12])
    firsts = list(dict.fromkeys(receiver.numbers("a")))
    assert firsts == [*range(13)], "what was told twice was told in its order the first time"


async def test_a_process_that_takes_over_waits_as_long_as_the_one_before(
    house: WebhookHouse, second: WebhookHouse
) -> None:
    async with receiving(lambda _: 429) as receiver:
        receiver.headers = ((b"retry-after", b"600"),)
        await house.add("shop", receiver.url)
        await house.announce("a", 1)
        async with house.delivering():
            await house.until(lambda: len(receiver.attempts) == 1)
            await house.pass_s(3)
        async with second.delivering():
            (event,) = await second.events("shop")
            await second.pass_s((event.due_at_ms - second.clock.now_ms()) / 1000 - 1, step_s=1)
            assert len(receiver.attempts) == 1
            await second.pass_s(2)
            assert len(receiver.attempts) == 2


async def test_gone_ends_the_attempts_of_every_stream_at_once(house: WebhookHouse) -> None:
    async with receiving(lambda _: 410) as receiver:
        await house.add("shop", receiver.url)
        for number in range(40):
            await house.announce(f"stream {number}", number)
        async with house.delivering():
            await house.until(lambda: bool(receiver.attempts))
            await house.pass_s(10)
    assert len(receiver.attempts) <= PARALLEL
