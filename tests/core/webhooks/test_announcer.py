"""Announcements become events of those endpoints that want them, in the transaction of what is announced."""

import json
from typing import Any

import pytest
from sqlalchemy import Connection

from strongroom.core.announcements import Announcement
from strongroom.core.storage.database import Database
from strongroom.core.webhooks.administration import EndpointChange
from strongroom.core.webhooks.announcer import WebhookAnnouncer
from support.clock import ManualClock, SeededEntropy
from support.webhooks.house import BOSS, WebhookHouse

pytestmark = pytest.mark.anyio
URL = "http://127.0.0.1:1025/"


def said(kind: str = "coin.minted", stream: str = "a", key: str = "1", **more: Any) -> Announcement:
    return Announcement(kind=kind, stream=stream, key=key, data={"n": 1}, **more)


async def announce(house: WebhookHouse, *announcements: Announcement) -> None:
    await house.database.write(lambda connection: house.announcer.announce(connection, announcements))


async def test_an_event_has_the_id_of_its_fact_in_every_process(
    database: Database, house: WebhookHouse
) -> None:
    await house.add("shop", URL)
    await announce(house, said())
    (event,) = await house.events("shop")
    document = json.loads(event.payload)
    assert event.id == document["id"]
    assert len(event.id) == len("evt_") + 32
    await house.administration.remove(BOSS, "shop")
    other = WebhookHouse(database, house.clock, seed=7)
    await other.add("again", URL)
    await announce(other, said(), said(kind="payment.signed"), said(stream="b"), said(key="2"))
    same, *others = await other.events("again")
    assert same.id == event.id
    assert len({event.id, *(one.id for one in others)}) == 4


async def test_the_ledger_is_a_part_of_the_fact(database: Database, house: WebhookHouse) -> None:
    await house.add("shop", URL)
    await announce(house, said())
    another = WebhookAnnouncer("coin", ManualClock(), SeededEntropy())
    await database.write(lambda connection: another.announce(connection, [said()]))
    one, two = await house.events("shop")
    assert one.id != two.id
    assert json.loads(two.payload)["data"] == {"ledger": "coin", "n": 1}


async def test_facts_without_a_name_are_events_of_their_own(house: WebhookHouse) -> None:
    await house.add("shop", URL)
    await house.add("other", URL)
    await announce(house, said(key=""), said(key=""))
    one, two = await house.events("shop")
    assert one.id != two.id
    assert [len(each.id) for each in (one, two)] == [36, 36]
    assert [each.id for each in await house.events("other")] == [one.id, two.id], "the same for each endpoint"


async def test_the_row_of_an_event(house: WebhookHouse) -> None:
    await house.add("shop", URL)
    await announce(house, said(wallet="hot"))
    (event,) = await house.events("shop")
    assert (event.kind, event.stream, event.created_at_ms) == ("coin.minted", "a", house.clock.now_ms())
    assert json.loads(event.payload)["type"] == "coin.minted"


async def test_it_says_whether_anybody_wants_it(house: WebhookHouse) -> None:
    async def wants(*kinds: str) -> bool:
        return await house.database.read(lambda connection: house.announcer.wants(connection, *kinds))

    assert not await wants("payment.signed")
    await house.add("shop", URL, kinds=["payment.*"], wallets=["hot"])
    assert await wants("payment.signed")
    assert await wants("token.created", "payment.signed")
    assert not await wants("token.created")
    await house.administration.change(BOSS, "shop", EndpointChange(is_active=False))
    assert await wants("payment.signed"), "for half a second"
    house.forget_endpoints()
    assert not await wants("payment.signed")


async def test_who_delivers_is_woken_where_something_was_queued(house: WebhookHouse) -> None:
    woken: list[str] = []
    house.announcer.listen(lambda: woken.append("woken"))
    await house.add("shop", URL, kinds=["payment.*"])
    await announce(house, said())
    assert woken == []
    await announce(house, said(), said(kind="payment.signed"))
    assert woken == ["woken"]
    assert len(await house.states("shop")) == 1


async def test_what_is_undone_is_not_queued(house: WebhookHouse) -> None:
    await house.add("shop", URL)

    def work(connection: Connection) -> None:
        house.announcer.announce(connection, [said()])
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await house.database.write(work)
    assert await house.states("shop") == []
