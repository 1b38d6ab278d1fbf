"""What people do is told with its row in the audit trail, and by the same commit."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import Connection

from strongroom.core.webhooks.audited import KINDS, AuditedEvents
from strongroom.core.webhooks.kinds import EVERY_LEDGER
from strongroom.core.webhooks.queue import QueuedEvent
from support.webhooks.house import BOSS, WebhookHouse

pytestmark = pytest.mark.anyio


@pytest.fixture
async def heard(house: WebhookHouse) -> WebhookHouse:
    await house.add("all", "http://127.0.0.1:1025/")
    house.audit.hear(AuditedEvents(house.announcer))
    return house


async def append(house: WebhookHouse, action: str, subject: str, details: Mapping[str, Any]) -> None:
    await house.database.write(lambda c: house.audit.append(c, BOSS, action, subject, details))


async def events(house: WebhookHouse, name: str = "all") -> list[QueuedEvent]:
    return [*reversed(await house.administration.events(name))]


@pytest.mark.parametrize("action", KINDS)
async def test_each_action_is_an_event_of_the_catalogue(heard: WebhookHouse, action: str) -> None:
    await append(heard, action, "x", {"reason": "y"})
    (event,) = await events(heard)
    assert event.kind == KINDS[action]
    assert event.kind in EVERY_LEDGER
    expected = f'"action":"{action}","subject":"x","principal":"operator:boss","details":{{"reason":"y"}}'
    assert expected in event.payload


async def test_other_rows_are_told_to_nobody(heard: WebhookHouse) -> None:
    for action in ("webhook.add", "sign", "vault.bind"):
        await append(heard, action, "x", {})
    assert await events(heard) == []


async def test_rules_and_freezes_share_an_order_and_each_token_has_its_own(heard: WebhookHouse) -> None:
    for action in ("freeze", "policy.add", "unfreeze", "token.create"):
        await append(heard, action, "x", {})
    assert [one.stream for one in await events(heard)] == ["guard", "guard", "guard", "token:x"]


async def test_an_endpoint_of_a_wallet_hears_what_concerns_it(heard: WebhookHouse) -> None:
    await heard.add("hot", "http://127.0.0.1:1025/", wallets=["hot"])
    told: list[tuple[str, str, Mapping[str, Any]]] = [
        ("freeze", "hot", {"scope": "wallet"}),
        ("freeze", "hot", {"scope": "token"}),
        ("wallet.lock", "hot", {}),
        ("key.import", "hot/key", {}),
        ("key.import", "cold/key", {}),
        ("approval.ask", "1", {"terms": {"wallet": "hot"}}),
        ("approval.ask", "2", {"terms": {"change": {}}}),
    ]
    for action, subject, details in told:
        await append(heard, action, subject, details)
    kinds = [one.kind for one in await events(heard, "hot")]
    assert kinds == ["freeze.began", "wallet.changed", "wallet.changed", "approval.asked"]


async def test_what_is_undone_is_not_told(heard: WebhookHouse) -> None:
    def work(connection: Connection) -> None:
        heard.audit.append(connection, BOSS, "freeze", "x", {})
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await heard.database.write(work)
    assert await events(heard) == []
