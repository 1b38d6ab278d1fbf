"""Webhooks tell what the wallets' WebSockets are told, with the same commit."""

import json
from collections.abc import AsyncIterator

import pytest

from hathor.notifications.test_messages import own, scene_with_wallet
from strongroom.core.intents.announcing import PaymentEvents
from strongroom.core.intents.execution import ExecutionState
from strongroom.core.intents.intent import Accepted, Intent
from strongroom.core.intents.payments import PaymentFilter, Payments
from strongroom.core.intents.store import adopt, record_accepted
from strongroom.core.storage.database import Database
from strongroom.hathor.definition import LEDGER
from strongroom.hathor.notifications.events import in_turn, lost_payment, voided_payments, wallet_events
from strongroom.hathor.notifications.messages import DESTINATION
from strongroom.hathor.proposals.executions import VOIDED
from strongroom.hathor.tables import SENT
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
    monkeypatch.setitem(KINDS, "payment.voided", "")
    house = WebhookHouse(database, clock)
    events = PaymentEvents("hathor", bytes.hex, house.announcer)
    OUTBOX.hear(DESTINATION, in_turn(wallet_events(house.announcer), voided_payments(events, VOIDED)))
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


async def test_a_payment_that_is_voided_after_it_was_confirmed_is_told(
    database: Database, clock: ManualClock, house: WebhookHouse
) -> None:
    scene = await scene_with_wallet(database)
    await house.add("payments", "http://127.0.0.1:1025/", kinds=["payment.voided"])
    paid = scene.send([scene.genesis], [own(0, 600), pay("stranger", 400)])
    foreign = scene.send([(paid.hash, 0)], [own(1, 600)])
    intent = Intent(
        id=bytes.fromhex(paid.hash),
        account=WALLET,
        slot=None,
        kind="TRANSFER",
        payload=b"",
        principal="token:shop",
        request="{}",
        stage=SENT,
        wallet=WALLET,
        created_at_ms=1,
    )

    async def failed() -> list[bytes]:
        payments = Payments("hathor", database, clock, LEDGER.executions())
        return [one.id for one in await payments.page(PaymentFilter(execution=ExecutionState.FAILED))]

    await database.write(lambda c: adopt(c, intent))
    await database.write(lambda c: record_accepted(c, intent, Accepted(stage=SENT), 2))
    await scene.sync()
    assert (await payloads(database), await failed()) == ([], [])
    scene.chain.void(foreign)
    scene.chain.void(paid)
    await scene.sync()
    (told,) = await payloads(database)
    assert_as_documented(told)
    data = dict(told["data"])  # type: ignore[call-overload]
    assert (told["type"], data["id"], data["wallet"]) == ("payment.voided", paid.hash, WALLET)
    assert (data["state"], data["execution"], data["reason"]) == ("ACCEPTED", "FAILED", VOIDED.reason)
    assert await failed() == [intent.id]
    events = PaymentEvents("hathor", bytes.hex, house.announcer)
    await database.write(lambda c: lost_payment(events)(c, intent.id))
    await database.write(lambda c: lost_payment(events)(c, bytes(32)))  # no payment of ours
    assert [one["type"] for one in await payloads(database)] == ["payment.voided"] * 2
