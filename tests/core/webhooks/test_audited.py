"""What people do is told with its row in the audit trail, and by the same commit."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

import strongroom
from strongroom.core.webhooks.audited import KINDS, AuditedEvents
from strongroom.core.webhooks.kinds import EVERY_LEDGER
from strongroom.core.webhooks.queue import QueuedEvent
from support.webhooks.house import BOSS, WebhookHouse
from support.webhooks.page import assert_as_documented

pytestmark = pytest.mark.anyio
SOURCE = Path(strongroom.__file__).parent


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
    expected = f'"action":"{action}","subject":"x","principal":"operator:boss","requestId":null,"details":{{"reason":"y"}}'
    assert expected in event.payload


def test_the_actions_are_those_that_the_source_writes() -> None:
    sources = [path for path in SOURCE.rglob("*.py") if path.name != "audited.py"]
    written = "".join(path.read_text() for path in sources)
    assert [action for action in KINDS if f'"{action}"' not in written] == []


async def test_other_rows_are_told_to_nobody(heard: WebhookHouse) -> None:
    for action in ("webhook.add", "sign", "vault.bind"):
        await append(heard, action, "x", {})
    assert await events(heard) == []


@pytest.mark.parametrize(
    ("action", "stream"),
    [
        ("freeze", "guard"),
        ("policy.add", "guard"),
        ("policy.remove", "guard"),
        ("unfreeze", "guard"),
        ("token.create", "token:x"),
        ("token.revoke", "token:x"),
        ("approval.ask", "approval:x"),
        ("authentication.failures", "authentication:x"),
        ("wallet.lock", "wallet:x"),
        ("key.remove", "key:x"),
        ("export", "export:x"),
        ("rows.refuse", "rows:x"),
        ("seal", "seal:x"),
    ],
)
async def test_rules_and_freezes_share_an_order_and_each_other_subject_has_its_own(
    heard: WebhookHouse, action: str, stream: str
) -> None:
    await append(heard, action, "x", {})
    assert [one.stream for one in await events(heard)] == [stream]


async def test_a_long_subject_is_cut_in_the_stream_alone(heard: WebhookHouse) -> None:
    await append(heard, "token.create", "x" * 189, {})
    (event,) = await events(heard)
    assert event.stream == f"token:{'x' * 184}"
    assert "x" * 189 in event.payload


async def test_an_event_of_a_row_is_as_documented(heard: WebhookHouse) -> None:
    await append(heard, "token.create", "x", {"reason": "y"})
    (event,) = await events(heard)
    document = json.loads(event.payload)
    assert_as_documented(document)
    assert document["data"]["details"] == {"reason": "y"}


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
        ("approval.ask", "3", {"terms": {"wallet": "cold"}}),
        ("unfreeze", "hot", {"scope": "wallet"}),
        ("unfreeze", "hot", {}),
        ("token.create", "hot", {"scope": "wallet"}),
    ]
    for action, subject, details in told:
        await append(heard, action, subject, details)
    kinds = [one.kind for one in await events(heard, "hot")]
    assert kinds == ["freeze.began", "wallet.changed", "wallet.changed", "approval.asked", "freeze.ended"]


async def test_what_is_undone_is_not_told(heard: WebhookHouse) -> None:
    def work(connection: Connection) -> None:
        heard.audit.append(connection, BOSS, "freeze", "x", {})
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await heard.database.write(work)
    assert await events(heard) == []
