"""Webhooks tell what the wallets' WebSockets are told, with the same commit."""

import json
from collections.abc import AsyncIterator

import pytest

from hathor.notifications.test_messages import own, scene_with_wallet
from strongroom.core.storage.database import Database
from strongroom.hathor.notifications.events import wallet_events
from strongroom.hathor.notifications.messages import DESTINATION
from support.clock import ManualClock
from support.hathor.scenes import pay
from support.hathor.streams import OUTBOX
from support.hathor.wallets import WALLET
from support.sql import execute
from support.webhooks.house import KINDS, WebhookHouse
from support.webhooks.page import assert_as_documented


@pytest.fixture
async def house(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[WebhookHouse]:
    monkeypatch.setitem(KINDS, "wallet.transaction", "")
    house = WebhookHouse(database, clock)
    OUTBOX.hear(DESTINATION, wallet_events(house.announcer))
    yield house
    OUTBOX.hear(DESTINATION, lambda _connection, _events: None)


async def payloads(database: Database) -> list[dict[str, object]]:
    rows = await database.read(
        lambda c: execute(c, "SELECT payload FROM strongroom_webhook_event ORDER BY id")
    )
    return [json.loads(row[0]) for row in rows]


async def test_a_wallet_s_transactions_are_told_in_their_order(
    database: Database, house: WebhookHouse
) -> None:
    scene = await scene_with_wallet(database)
    await house.add("shop", "http://127.0.0.1:1025/", kinds=["wallet.*"], wallets=[WALLET])
    await house.add("other", "http://127.0.0.1:1025/", wallets=["another wallet"])
    paid = scene.send([scene.genesis], [own(0, 600), pay("stranger", 400)])
    await scene.sync()
    scene.block()
    await scene.sync()
    told = await payloads(database)
    assert [one["type"] for one in told] == ["wallet.transaction"] * 2
    for one in told:
        assert_as_documented(one)
    messages = [dict(one["data"])["message"] for one in told]  # type: ignore[call-overload]
    assert [(one["type"], one["data"]["tx_id"]) for one in messages] == [
        ("new-tx", paid.hash),
        ("update-tx", paid.hash),
    ]


async def test_without_an_endpoint_the_sync_writes_none(database: Database, house: WebhookHouse) -> None:
    scene = await scene_with_wallet(database)
    await house.add("payments", "http://127.0.0.1:1025/", kinds=["payment.*"])
    scene.send([scene.genesis], [own(0, 600), pay("stranger", 400)])
    await scene.sync()
    assert await payloads(database) == []
