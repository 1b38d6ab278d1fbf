"""Notifications: from a transaction of a wallet to its devices, once, whatever FCM says in between."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection

from strongroom.core.clock import SystemClock
from strongroom.core.coordination.loops import Loops
from strongroom.core.environment import Environment
from strongroom.core.messaging.outbox import Outbox
from strongroom.core.runtime.background import Background
from strongroom.core.runtime.telemetry import Health, Metrics, Status
from strongroom.core.storage.database import Database
from strongroom.hathor.ledger import PUSH
from strongroom.hathor.notifications.devices import Device, register_device, update_device
from strongroom.hathor.notifications.fcm import Fcm, PushService
from strongroom.hathor.notifications.push import EXPIRY_S, Pusher, PushMetrics, PushRules
from strongroom.hathor.notifications.settings import read_push_settings
from strongroom.hathor.protocol.addresses import MAINNET, parse_address
from strongroom.hathor.protocol.scripts import Payment
from strongroom.hathor.sync.batch import apply_batch
from strongroom.hathor.wallets.loading import load_wallet
from strongroom_sandbox.hathor.vertices import Output, Vertex, read_output
from support.clock import ManualClock, SeededEntropy
from support.hathor.fcm import (
    EMAIL,
    INTERNAL,
    INVALID_MESSAGE,
    PROJECT,
    UNAVAILABLE,
    UNREGISTERED,
    FakeFcm,
    private_pem,
    running_fcm,
)
from support.hathor.running import until
from support.hathor.scenes import NOW_S, RULES, Scene, pay
from support.hathor.streams import prepare
from support.hathor.wallets import WALLET, insert_wallet, wallet_addresses
from support.sql import execute
from support.waiting import eventually, until_true

pytestmark = pytest.mark.anyio

AGE_S = 3_600


class House:
    """A wallet, the chain it hears of, and a pusher over a server that speaks FCM."""

    def __init__(self, database: Database, clock: ManualClock, service: PushService | None) -> None:
        self.database = database
        self.scene = Scene(database)
        self.health = Health()
        self.outbox = Outbox(clock)
        self._metrics = Metrics("test")
        self.pusher = Pusher(
            database=database,
            outbox=self.outbox,
            clock=clock,
            entropy=SeededEntropy(),
            metrics=PushMetrics(self._metrics),
            service=service,
            rules=PushRules(providers=frozenset({"android"}), age_s=AGE_S),
        )
        self.health.watch(PUSH, self.pusher.check)

    def loops(self, clock: ManualClock, background: Background) -> None:
        loops = Loops(
            health=self.health,
            metrics=self._metrics,
            clock=clock,
            entropy=SeededEntropy(),
            background=background,
        )
        loops.start(loops.run(PUSH, lambda turn: self.pusher.run(turn.health), part="run"))
        loops.start(loops.every(PUSH, EXPIRY_S, self.pusher.expire, part="expiry"))

    def outcome(self, name: str) -> float:
        return (
            self._metrics.registry.get_sample_value("strongroom_hathor_push_total", {"outcome": name}) or 0.0
        )

    def waiting(self) -> float:
        return self._metrics.registry.get_sample_value("strongroom_hathor_push_waiting") or 0.0

    async def device(self, name: str, *, push: bool = True, amounts: bool = False, ios: bool = False) -> None:
        device = Device(
            id=name,
            wallet_id=WALLET,
            provider="ios" if ios else "android",
            enable_push=push,
            show_amounts=amounts,
        )
        await self.database.write(lambda connection: register_device(connection, device))

    async def sync(self, *, now_s: int = NOW_S) -> None:
        rules = replace(RULES, push_age_s=AGE_S)
        work = partial(apply_batch, events=self.scene.events(), rules=rules, outbox=self.outbox, now_s=now_s)
        applied = await self.database.write(work)
        self.scene.applied = len(self.scene.chain.journal.events)
        for stream in applied.devices:
            self.outbox.wake_delivery("hathor.push", stream)

    async def receive(self, value: int = 600) -> Vertex:
        paid = self.scene.send([self.scene.genesis], [own(0, value), pay("stranger", 1_000 - value)])
        await self.sync()
        return paid

    async def is_idle(self) -> bool:
        return await self.database.read(nothing_waits)


@asynccontextmanager
async def house(
    database: Database, clock: ManualClock, *, with_account: bool = True
) -> AsyncGenerator[tuple[House, FakeFcm]]:
    await prepare(database)
    await database.write(insert_wallet)
    await load_wallet(database, SystemClock(), MAINNET, WALLET)
    async with running_fcm() as fake:
        service = Fcm(fake.account(), fake.url, clock) if with_account else None
        made = House(database, clock, service)
        for _ in range(4):
            made.scene.block()
        await made.sync()
        background = Background()
        made.loops(clock, background)
        try:
            yield made, fake
        finally:
            await background.close()
            if service is not None:
                await service.close()


def nothing_waits(connection: Connection) -> bool:
    return not execute(connection, "SELECT 1 FROM strongroom_outbox WHERE destination = 'hathor.push'")


def own(index: int, value: int, token_data: int = 0) -> Output:
    address = parse_address(wallet_addresses(20)[index], MAINNET)
    return read_output(value, token_data, Payment(address=address).encode(), MAINNET)


async def test_each_device_is_told_in_its_own_words(database: Database, clock: ManualClock) -> None:
    async with house(database, clock) as (made, fake):
        await made.device("plain")
        await made.device("curious", amounts=True)
        await made.device("quiet", push=False)
        await made.device("iphone", ios=True)
        paid = await made.receive()
        await eventually(lambda: len(fake.sent) == 2 and made.outcome("unwanted") == 1)
        data = {message["token"]: message["data"] for message in fake.sent}
        title = "new_transaction_received_title"
        words = "new_transaction_received_description_without_tokens"
        assert data["plain"] == {"txId": paid.hash, "titleLocKey": title, "bodyLocKey": words}
        assert data["curious"] == {
            "txId": paid.hash,
            "titleLocKey": title,
            "bodyLocKey": "new_transaction_received_description_with_tokens",
            "bodyLocArgs": '["600 HTR"]',
        }
        await until_true(made.is_idle)
        made.scene.block()  # it is confirmed: no news
        made.scene.send([(paid.hash, 0)], [pay("stranger", 600)])  # spent: no gain
        await made.sync()
        assert await made.is_idle()
        assert made.outcome("sent") == 2
        assert made.health.components()[PUSH].status is Status.UP


async def test_the_largest_amounts_are_named(database: Database, clock: ManualClock) -> None:
    async with house(database, clock) as (made, fake):
        await made.device("curious", amounts=True)
        outputs = [own(0, 10), own(1, 7_000, token_data=1), own(2, 1, token_data=0x81)]
        made.scene.create_token([made.scene.genesis], outputs)
        await made.sync()
        await eventually(lambda: len(fake.sent) == 1)
        assert fake.sent[0]["data"]["bodyLocArgs"] == '["7000 TOK","10 HTR"]'


async def test_old_transactions_are_no_news(database: Database, clock: ManualClock) -> None:
    async with house(database, clock) as (made, _):
        await made.device("plain")
        made.scene.send([made.scene.genesis], [own(0, 1_000)])
        await made.sync(now_s=NOW_S + 2 * AGE_S)
        assert await made.is_idle()


async def test_a_device_that_is_gone_is_removed_and_a_bad_message_dropped(
    database: Database, clock: ManualClock
) -> None:
    async with house(database, clock) as (made, fake):
        for name in ("gone", "puzzled", "well"):
            await made.device(name)
        fake.answers = {"gone": [UNREGISTERED], "puzzled": [INVALID_MESSAGE]}
        await made.receive()
        await eventually(lambda: sum(map(made.outcome, ("sent", "unregistered", "refused"))) == 3)
        assert [message["token"] for message in fake.sent] == ["well"]
        await until(database, nothing_waits)
        left = await database.read(
            lambda c: execute(c, "SELECT device_id FROM push_devices ORDER BY device_id")
        )
        assert [row[0] for row in left] == ["puzzled", "well"]


async def test_failures_are_tried_again_and_a_pause_is_kept(database: Database, clock: ManualClock) -> None:
    async with house(database, clock) as (made, fake):
        await made.device("plain")
        fake.answers = {"plain": [UNAVAILABLE, INTERNAL]}
        await made.receive()
        await eventually(lambda: made.outcome("delayed") == 1)
        health = made.health.components()[PUSH]
        assert health.status is Status.DEGRADED
        assert "FCM answered 503 UNAVAILABLE" in str(health.detail)
        await clock.sleepers(2)  # the dispatcher's pause, and the expiry's
        clock.advance(1)
        await clock.sleeping_for(29)  # what is left of FCM's
        assert fake.asked == 1
        clock.advance(29)
        await eventually(lambda: made.outcome("delayed") == 2)
        await clock.sleepers(2)
        clock.advance(2)
        await eventually(lambda: made.outcome("sent") == 1)
        await eventually(lambda: made.health.components()[PUSH].status is Status.UP)


async def test_wishes_count_when_it_is_sent(database: Database, clock: ManualClock) -> None:
    async with house(database, clock) as (made, fake):
        await made.device("plain")
        fake.answers = {"plain": [INTERNAL]}
        await made.receive()
        await eventually(lambda: made.outcome("delayed") == 1)
        stop = partial(
            update_device,
            device_id="plain",
            wallet_id=WALLET,
            enable_push=False,
            show_amounts=False,
        )
        await database.write(stop)
        await clock.sleepers(2)
        clock.advance(1)
        await eventually(lambda: made.outcome("unwanted") == 1)
        assert fake.sent == []


async def test_without_credentials_they_are_kept_until_they_are_old(
    database: Database, clock: ManualClock
) -> None:
    async with house(database, clock, with_account=False) as (made, _):
        await made.device("plain")
        await made.receive()
        await clock.sleepers()
        clock.advance(60)
        await eventually(lambda: made.waiting() == 1)
        health = made.health.components()[PUSH]
        assert health.status is Status.DEGRADED
        assert "FCM_SERVICE_ACCOUNT_FILE is not set" in str(health.detail)
        await clock.sleepers()
        clock.advance(AGE_S)
        await eventually(lambda: made.outcome("expired") == 1 and made.waiting() == 0)


def account_file(**changes: object) -> str:
    fields: dict[str, Any] = {"project_id": PROJECT, "client_email": EMAIL, "private_key": private_pem()}
    return json.dumps(fields | changes)


def test_settings_as_the_original_names_them() -> None:
    variables = {
        "PUSH_NOTIFICATION_ENABLED": "true",
        "PUSH_ALLOWED_PROVIDERS": "android,ios",
        "FIREBASE_PROJECT_ID": PROJECT,
        "FIREBASE_CLIENT_EMAIL": EMAIL,
        "FIREBASE_PRIVATE_KEY": private_pem().replace("\n", "\\n"),
    }
    environment = Environment(variables)
    settings = read_push_settings(environment)
    assert environment.mistakes == []
    assert settings.enabled
    assert settings.providers == {"android", "ios"}
    assert settings.account is not None
    assert settings.account.token_url == "https://oauth2.googleapis.com/token"
    assert settings.account.private_key.reveal() == private_pem()


PLACEHOLDERS = {
    "FIREBASE_PROJECT_ID": "some-project",
    "FIREBASE_CLIENT_EMAIL": "somebody@example.com",
    "FIREBASE_PRIVATE_KEY": "some private key",
    "FIREBASE_TOKEN_URI": "some address",
    "PUSH_ALLOWED_PROVIDERS": "nobody",
}


@pytest.mark.parametrize("name", ["PUSH_NOTIFICATION_ENABLED", "PUSH_NOTIFICATION"])
def test_what_is_switched_off_is_only_warned_about(name: str) -> None:
    environment = Environment(PLACEHOLDERS | {name: "false"})
    settings = read_push_settings(environment)
    assert environment.mistakes == []
    assert (settings.enabled, settings.account, settings.providers) == (False, None, frozenset())
    assert len(environment.warnings) == 3
    assert all("switched off" in warning for warning in environment.warnings)
    assert not any("some private key" in warning for warning in environment.warnings)


def test_what_is_switched_on_must_be_right() -> None:
    environment = Environment(PLACEHOLDERS | {"PUSH_NOTIFICATION": "true"})
    read_push_settings(environment)
    assert len(environment.mistakes) == 3
    assert environment.warnings == []


def test_an_account_is_enough_and_nothing_is_off() -> None:
    given = read_push_settings(Environment({"FCM_SERVICE_ACCOUNT": account_file()}))
    assert (given.enabled, given.providers) == (True, frozenset({"android"}))
    assert not read_push_settings(Environment({})).enabled
    assert read_push_settings(Environment({"PUSH_NOTIFICATION": "true"})).enabled


@pytest.mark.parametrize(
    "variables",
    [
        {"FCM_SERVICE_ACCOUNT": "{}"},
        {"FCM_SERVICE_ACCOUNT": "no JSON"},
        {"FCM_SERVICE_ACCOUNT": "[]"},
        {"FCM_SERVICE_ACCOUNT": account_file(private_key="no key")},
        {"FCM_SERVICE_ACCOUNT": account_file(private_key=7)},
        {"FIREBASE_PROJECT_ID": PROJECT},
        {"PUSH_ALLOWED_PROVIDERS": "web"},
    ],
)
def test_mistakes(variables: dict[str, str]) -> None:
    environment = Environment(variables)
    read_push_settings(environment)
    assert len(environment.mistakes) == 1
    assert "PRIVATE KEY" not in environment.mistakes[0]
