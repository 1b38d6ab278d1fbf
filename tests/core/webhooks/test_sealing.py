"""Whoever writes the database can read no secret, and have nothing sent elsewhere."""

from collections.abc import Callable
from typing import Any

import pytest

from strongroom.core.errors import Sealed, VaultError
from strongroom.core.runtime.telemetry import Status
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.storage.database import Database
from support.all_rows import all_rows
from support.clock import ManualClock
from support.webhooks.house import BOSS, WebhookHouse, receiving

pytestmark = pytest.mark.anyio
Elsewhere = Callable[[str], list[list[str]]]
CHANGES = {
    "the wallets": "UPDATE strongroom_webhook SET wallets = '[]' WHERE name = 'shop'",
    "the kinds": """UPDATE strongroom_webhook SET kinds = '["*"]' WHERE name = 'shop'""",
    "the shown URL": "UPDATE strongroom_webhook SET shown_url = 'https://good.example/' WHERE name = 'shop'",
    "what is sealed": "UPDATE strongroom_webhook SET sealed ="
    " (SELECT sealed FROM (SELECT * FROM strongroom_webhook) AS w WHERE w.name = 'mine') WHERE name = 'shop'",
}


@pytest.mark.parametrize("what", CHANGES)
async def test_a_changed_endpoint_gets_nothing_and_health_says_so(
    house: WebhookHouse, elsewhere: Elsewhere, what: str
) -> None:
    async with receiving() as receiver, receiving() as mine:
        await house.add("shop", receiver.url, wallets=["hot"])
        await house.add("mine", mine.url, kinds=["freeze.*"])
        elsewhere(CHANGES[what])
        await house.announce("a", 1, wallet="hot")
        with pytest.raises(VaultError):
            await house.administration.test(BOSS, "shop")
        async with house.delivering():
            await house.until(lambda: "shop" in house.dispatcher.troubles())
            await house.pass_s(120, step_s=5)
            await house.collection.look()
            health = house.watch.check()
    assert health.status is Status.DEGRADED
    assert health.detail is not None
    assert "shop gets nothing: the endpoint was changed past the service" in health.detail
    assert receiver.attempts == mine.attempts == []


async def test_the_database_has_no_secret_and_no_path_in_clear(
    house: WebhookHouse,
) -> None:
    async with receiving() as receiver:
        secret = await house.add("shop", receiver.url)
        rotated = (await house.administration.rotate(BOSS, "shop")).secret
        await house.announce("a", 1)
        async with house.delivering():
            await house.until(lambda: bool(receiver.taken))
        status = await house.administration.show("shop")
    rows = str(await all_rows(house.database)) + repr(status)
    assert "shop" in rows
    for canary in (secret, rotated, secret.removeprefix("whsec_"), "canary-in-the-url"):
        assert canary not in rows


async def test_another_key_opens_nothing(database: Database, clock: ManualClock, house: WebhookHouse) -> None:
    await house.add("shop", "http://127.0.0.1:1025/")
    other = WebhookHouse(database, clock, key=TrailKey(bytes(32)))
    with pytest.raises(VaultError):
        await other.administration.test(BOSS, "shop")


async def test_while_it_is_sealed_nothing_that_needs_the_key_is_done(house: WebhookHouse) -> None:
    await house.add("shop", "http://127.0.0.1:1025/")
    house.key.close()
    calls: list[Any] = [
        house.administration.add(BOSS, "other", "http://127.0.0.1:1025/"),
        house.administration.rotate(BOSS, "shop"),
        house.administration.test(BOSS, "shop"),
    ]
    for call in calls:
        with pytest.raises(Sealed):
            await call
    assert [one.endpoint.name for one in await house.administration.list()] == ["shop"]


async def test_a_deaf_endpoint_is_named_by_health_and_counted_by_its_id(house: WebhookHouse) -> None:
    await house.add("deaf", "http://127.0.0.1:1025/canary-in-the-url")
    await house.collection.look()
    assert house.watch.check().status is Status.UP
    await house.announce("a", 1, 2)
    async with house.delivering():
        await house.pass_s(120, step_s=2)
        await house.collection.look()
    health = house.watch.check()
    assert health.status is Status.DEGRADED
    assert health.detail is not None
    assert health.detail.startswith("deaf: 2 events wait, it fails for 1")
    assert "no answer" in health.detail
    (status,) = await house.administration.list()
    labels = {"ledger": "toy", "endpoint": status.endpoint.id}
    value = house.metrics.registry.get_sample_value
    assert value("strongroom_webhook_waiting", labels) == 2
    assert value("strongroom_webhook_oldest_age_seconds", labels) == pytest.approx(120, abs=5)
    assert value("strongroom_webhook_dead", labels) == 0
    await house.administration.remove(BOSS, "deaf")
    await house.collection.look()
    assert value("strongroom_webhook_waiting", labels) is None
    assert house.watch.check().status is Status.UP
