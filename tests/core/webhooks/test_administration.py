"""What people do with endpoints, and the rows that it leaves in the audit trail."""

import json
from typing import Any

import pytest

from strongroom.core.errors import Conflict, InvalidInput, NotFound
from strongroom.core.webhooks import store
from strongroom.core.webhooks.administration import EndpointChange
from strongroom.core.webhooks.endpoint import EndpointState
from strongroom.core.webhooks.queue import EventState
from support.sql import execute
from support.webhooks.house import BOSS, WebhookHouse, receiving

pytestmark = pytest.mark.anyio
URL = "http://127.0.0.1:1025/canary"
SHOWN = "http://127.0.0.1:1025/…"


async def trail(house: WebhookHouse) -> list[tuple[str, str, dict[str, Any]]]:
    """Action, subject and details of each row about endpoints."""
    query = "SELECT principal, action, subject, details FROM strongroom_audit ORDER BY sequence"
    found = await house.database.read(lambda c: execute(c, query))
    rows = [row for row in found if row[1].startswith("webhook.")]
    assert {row[0] for row in rows} <= {BOSS.name, "system:webhooks"}
    return [(action, subject, json.loads(details)) for _, action, subject, details in rows]


async def test_a_new_endpoint_is_as_it_was_asked_for(house: WebhookHouse) -> None:
    created = await house.administration.add(
        BOSS, "shop", URL, kinds=["payment.*", "coin.minted"], wallets=["b", "a", "a"]
    )
    endpoint = (await house.administration.show("shop")).endpoint
    assert endpoint == created.endpoint
    assert (endpoint.name, endpoint.shown_url, endpoint.created_by) == ("shop", SHOWN, "operator:boss")
    assert (endpoint.wanted.kinds, endpoint.wanted.wallets) == (("coin.minted", "payment.*"), ("a", "b"))
    assert (endpoint.state, endpoint.reason, endpoint.version) == (EndpointState.ACTIVE, None, 1)
    assert endpoint.created_at_ms == house.clock.now_ms()
    assert created.secret not in repr(created)
    assert (await house.administration.show(endpoint.id)).endpoint == endpoint
    told = {"name": "shop", "url": SHOWN, "kinds": ["coin.minted", "payment.*"], "wallets": ["a", "b"]}
    assert await trail(house) == [("webhook.add", endpoint.id, told)]


@pytest.mark.parametrize("name", ["x", "x" * 64, "a b", "0123456789abcde", "0123456789ABCDEF"])
async def test_such_names_are_taken(house: WebhookHouse, name: str) -> None:
    await house.administration.add(BOSS, name, URL)
    assert (await house.administration.show(name)).endpoint.name == name


@pytest.mark.parametrize("name", ["", "x" * 65, " x", "x ", "a\tb", "a\x1b", "0123456789abcdef"])
async def test_other_names_are_refused(house: WebhookHouse, name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await house.administration.add(BOSS, name, URL)
    assert refused.value.instance_code == "webhook_invalid"
    assert await house.administration.list() == []


async def test_wallets_are_named_up_to_a_limit(house: WebhookHouse) -> None:
    hundred = [f"{number}" for number in range(100)]
    await house.administration.add(BOSS, "shop", URL, wallets=[*hundred[1:], "x" * 255])
    for wallets in ([*hundred, "one more"], ["x" * 256], [""], ["a\nb"]):
        with pytest.raises(InvalidInput, match="at most 100 names of wallets"):
            await house.administration.add(BOSS, "other", URL, wallets=wallets)


async def test_a_name_is_taken_once_and_endpoints_are_limited(
    house: WebhookHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MAX_ENDPOINTS", 2)
    await house.administration.add(BOSS, "one", URL)
    with pytest.raises(Conflict) as taken:
        await house.administration.add(BOSS, "one", URL)
    assert taken.value.instance_code == "webhook_exists"
    house.clock.advance(1)
    await house.administration.add(BOSS, "two", URL)
    with pytest.raises(Conflict) as full:
        await house.administration.add(BOSS, "three", URL)
    assert full.value.instance_code == "too_many_webhooks"
    assert [one.endpoint.name for one in await house.administration.list()] == ["one", "two"]


async def test_an_endpoint_that_is_not_there_is_named_with_the_ledger(house: WebhookHouse) -> None:
    administration = house.administration
    calls: list[Any] = [
        administration.show("nope"),
        administration.change(BOSS, "nope", EndpointChange()),
        administration.remove(BOSS, "nope"),
        administration.rotate(BOSS, "nope"),
        administration.test(BOSS, "nope"),
        administration.events("nope"),
        administration.replay(BOSS, "nope"),
    ]
    for call in calls:
        with pytest.raises(NotFound, match=r"^No endpoint of webhooks is called 'nope' on toy$") as missing:
            await call
        assert missing.value.instance_code == "webhook_not_found"
    assert await trail(house) == []


async def test_what_is_left_out_of_a_change_stays(house: WebhookHouse) -> None:
    created = await house.administration.add(BOSS, "shop", URL, kinds=["payment.*"], wallets=["hot"])
    same = await house.administration.change(BOSS, "shop", EndpointChange())
    assert (same.wanted, same.shown_url, same.state) == (created.endpoint.wanted, SHOWN, EndpointState.ACTIVE)
    assert same.version == 2
    change = EndpointChange(kinds=["freeze.*"], is_active=False)
    changed = await house.administration.change(BOSS, "shop", change)
    assert (changed.wanted.kinds, changed.wanted.wallets) == (("freeze.*",), ("hot",))
    assert changed.state is EndpointState.DISABLED
    changed = await house.administration.change(BOSS, "shop", EndpointChange(wallets=[]))
    assert (changed.wanted.kinds, changed.wanted.wallets) == (("freeze.*",), ())
    assert changed.state is EndpointState.DISABLED, "it stays so"
    assert (await house.administration.show("shop")).endpoint == changed
    assert [one for one in await trail(house) if one[0] == "webhook.set"] == [
        ("webhook.set", changed.id, {"url": SHOWN, "state": state, "kinds": kinds, "wallets": wallets})
        for state, kinds, wallets in (
            ("active", ["payment.*"], ["hot"]),
            ("disabled", ["freeze.*"], ["hot"]),
            ("disabled", ["freeze.*"], []),
        )
    ]


async def test_a_new_url_is_checked_and_used_and_the_secret_stays(house: WebhookHouse) -> None:
    async with receiving() as receiver:
        await house.add("shop", URL)
        with pytest.raises(InvalidInput, match="not public"):
            await house.administration.change(BOSS, "shop", EndpointChange(url="http://10.0.0.1/"))
        changed = await house.administration.change(BOSS, "shop", EndpointChange(url=receiver.url))
        assert changed.shown_url.startswith("http://127.0.0.1:")
        assert changed.shown_url != SHOWN
        answer = await house.administration.test(BOSS, "shop")
        assert (answer.status, answer.is_taken) == (204, True)
    assert receiver.attempts[0].headers["webhook-signature"].count("v1,") == 1
    assert receiver.attempts[0].document["data"] == {"ledger": "toy", "endpoint": "shop"}
    assert (await trail(house))[-1] == ("webhook.test", changed.id, {"status": 204, "taken": True})


async def test_a_change_makes_due_what_waits(house: WebhookHouse) -> None:
    async with receiving(lambda _: 429) as receiver:
        receiver.headers = ((b"retry-after", b"600"),)
        await house.add("shop", receiver.url)
        await house.announce("a", 1)
        async with house.delivering():
            await house.until(lambda: len(receiver.attempts) == 1)
            for change in (EndpointChange(is_active=True), EndpointChange(kinds=["coin.*"])):
                before = len(receiver.attempts)
                await house.administration.change(BOSS, "shop", change)
                await house.pass_s(3)
                assert len(receiver.attempts) == before + 1


async def test_an_endpoint_is_removed_with_its_events(house: WebhookHouse) -> None:
    await house.add("shop", URL)
    await house.add("other", URL)
    await house.announce("a", 1, 2)
    endpoint = (await house.administration.show("shop")).endpoint
    removed = await house.administration.remove(BOSS, endpoint.id)
    assert (removed.endpoint.name, removed.queue.waiting, removed.queue.dead) == ("shop", 2, 0)
    assert [one.endpoint.name for one in await house.administration.list()] == ["other"]
    assert await house.states("other") == ["waiting", "waiting"]
    left = await house.database.read(
        lambda c: execute(c, "SELECT DISTINCT endpoint FROM strongroom_webhook_event")
    )
    assert len(left) == 1
    gone = ("webhook.remove", endpoint.id, {"name": "shop", "waiting": 2, "dead": 0})
    assert (await trail(house))[-1] == gone


@pytest.mark.parametrize("overlap_s", [-1, 30 * 86_400 + 1])
async def test_an_overlap_has_limits(house: WebhookHouse, overlap_s: int) -> None:
    await house.add("shop", URL)
    with pytest.raises(InvalidInput, match="0 to 2592000 seconds") as refused:
        await house.administration.rotate(BOSS, "shop", overlap_s=overlap_s)
    assert refused.value.instance_code == "webhook_invalid"
    await house.administration.rotate(BOSS, "shop", overlap_s=30 * 86_400)
    assert (await trail(house))[-1][2] == {"overlapSeconds": 2_592_000}


async def signatures(house: WebhookHouse) -> int:
    """How many secrets sign now."""
    async with receiving() as receiver:
        await house.administration.change(BOSS, "shop", EndpointChange(url=receiver.url))
        await house.administration.test(BOSS, "shop")
    return receiver.attempts[0].headers["webhook-signature"].count("v1,")


async def test_at_most_five_secrets_sign_and_none_longer_than_it_was_meant(house: WebhookHouse) -> None:
    await house.add("shop", URL)
    for _ in range(6):
        await house.administration.rotate(BOSS, "shop", overlap_s=100)
    assert await signatures(house) == 5
    house.clock.advance(99)
    await house.administration.rotate(BOSS, "shop", overlap_s=1_000)
    house.clock.advance(1)
    assert await signatures(house) == 2, "the newest, and the one that it replaced"
    house.clock.advance(998)
    assert await signatures(house) == 2
    house.clock.advance(1)
    assert await signatures(house) == 1
    await house.administration.rotate(BOSS, "shop")
    assert (await trail(house))[-1][2] == {"overlapSeconds": 86_400}
    assert await signatures(house) == 2, "by default both for a day"


async def test_events_are_found_by_state_and_page(house: WebhookHouse) -> None:
    await house.add("shop", URL)
    await house.announce("a", 1, 2, 3)
    newest = await house.administration.events("shop", limit=1)
    older = await house.administration.events("shop", before=newest[0].row)
    assert [one.payload.count('"n":3') for one in newest] == [1]
    assert len(older) == 2
    assert await house.administration.events("shop", states=[EventState.DEAD]) == []


async def test_a_replay_says_how_many_and_refuses_an_event_that_is_not_there(house: WebhookHouse) -> None:
    async with receiving() as receiver:
        await house.add("shop", receiver.url)
        await house.announce("a", 1, 2)
        endpoint = (await house.administration.show("shop")).endpoint
        with pytest.raises(NotFound, match="shop has no event 'evt_nope'") as missing:
            await house.administration.replay(BOSS, "shop", event="evt_nope")
        assert missing.value.instance_code == "webhook_event_not_found"
        async with house.delivering():
            await house.until(lambda: len(receiver.taken) == 2)
            assert await house.administration.replay(BOSS, "shop") == 0
            assert await house.administration.replay(BOSS, "shop", delivered=True) == 2
            await house.until(lambda: len(receiver.taken) == 4)
            event = receiver.taken[0].id
            since_ms = house.clock.now_ms()
            assert await house.administration.replay(BOSS, "shop", event=event, since_ms=since_ms) == 0, (
                "it is older"
            )
    rows = [one for one in await trail(house) if one[0] == "webhook.replay"]
    assert rows == [
        ("webhook.replay", endpoint.id, {"event": None, "events": 0}),
        ("webhook.replay", endpoint.id, {"event": None, "events": 2}),
        ("webhook.replay", endpoint.id, {"event": event, "events": 0}),
    ]


async def test_a_replay_lets_what_waits_be_tried_at_once(house: WebhookHouse) -> None:
    async with receiving(lambda _: 429) as receiver:
        receiver.headers = ((b"retry-after", b"600"),)
        await house.add("shop", receiver.url)
        await house.announce("a", 1)
        async with house.delivering():
            await house.until(lambda: len(receiver.attempts) == 1)
            (event,) = await house.events("shop")
            assert event.due_at_ms > house.clock.now_ms()
            await house.administration.replay(BOSS, "shop")
            await house.pass_s(3)
            assert len(receiver.attempts) == 2
