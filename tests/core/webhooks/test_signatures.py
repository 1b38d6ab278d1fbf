"""The receivers' own library accepts what is signed, and nothing else."""

import base64
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import pytest
from sqlalchemy import Connection
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from strongroom.core.clock import SystemClock
from strongroom.core.storage.database import Database
from strongroom.core.webhooks.signatures import new_secret, signed_headers
from strongroom.core.webhooks.store import load_endpoints
from support.clock import ManualClock, SeededEntropy
from support.webhooks.house import BOSS, WebhookHouse, judge, receiving

pytestmark = pytest.mark.anyio
T = TypeVar("T")


class OvertakenDatabase(Database):
    """Lets something happen after the endpoints were read, before anything else is."""

    overtake: Callable[[], Awaitable[None]] | None = None

    async def read(self, work: Callable[[Connection], T]) -> T:
        result = await super().read(work)
        if work is load_endpoints and self.overtake is not None:
            overtake, self.overtake = self.overtake, None
            await overtake()
        return result


def test_secrets_are_as_the_standard_has_them() -> None:
    entropy = SeededEntropy()
    secret, other = new_secret(entropy), new_secret(entropy)
    assert secret != other
    assert secret.startswith("whsec_")
    assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"))) <= 64


def test_the_example_of_the_standard() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', [secret], 1_614_265_330_000
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


async def test_the_judge_accepts_each_delivery_and_no_change_of_it(database: Database) -> None:
    house = WebhookHouse(database, ManualClock(SystemClock().now_ms()))
    async with receiving() as receiver:
        secret = await house.add("shop", receiver.url)
        await house.announce("a", 1)
        async with house.delivering():
            await house.until(lambda: bool(receiver.taken))
    taken = receiver.taken[0]
    assert judge(secret, taken) == taken.document
    changed = [
        replace(taken, body=taken.body.replace(b"1", b"2")),
        *(
            replace(taken, headers=taken.headers | {name: taken.headers[name] + "1"})
            for name in ("webhook-id", "webhook-timestamp")
        ),
    ]
    for one in changed:
        with pytest.raises(WebhookVerificationError):
            judge(secret, one)
    with pytest.raises(WebhookVerificationError):
        judge(new_secret(SeededEntropy(9)), taken)


async def test_both_secrets_sign_during_the_overlap(database: Database) -> None:
    house = WebhookHouse(database, ManualClock(SystemClock().now_ms()))
    async with receiving() as receiver:
        old = await house.add("shop", receiver.url)
        async with house.delivering():
            new = (await house.administration.rotate(BOSS, "shop", overlap_s=60)).secret
            await house.pass_s(1)  # whoever delivers looks at the endpoints twice a second
            await house.announce("a", 1)
            await house.until(lambda: len(receiver.taken) == 1)
            during = receiver.taken[0]
            assert judge(old, during) == judge(new, during) == during.document
            assert during.headers["webhook-signature"].count("v1,") == 2
            house.clock.advance(61)
            await house.announce("a", 2)
            await house.until(lambda: len(receiver.taken) == 2)
    after = receiver.taken[1]
    assert judge(new, after) == after.document
    with pytest.raises(WebhookVerificationError):
        judge(old, after)
    assert after.headers["webhook-signature"].count("v1,") == 1


async def test_a_rotation_without_overlap_ends_the_old_secret_at_once(database: Database) -> None:
    house = WebhookHouse(database, ManualClock(SystemClock().now_ms()))
    async with receiving() as receiver:
        old = await house.add("shop", receiver.url)
        new = (await house.administration.rotate(BOSS, "shop", overlap_s=0)).secret
        await house.administration.test(BOSS, "shop")
    assert judge(new, receiver.taken[0])
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(receiver.taken[0].body, receiver.taken[0].headers)


async def test_what_is_announced_after_a_rotation_is_never_signed_with_the_old_secret(
    database: Database,
) -> None:
    overtaken = OvertakenDatabase(database.url)
    house = WebhookHouse(overtaken, ManualClock(SystemClock().now_ms()))
    secrets: list[str] = []

    async def rotate_and_announce() -> None:
        secrets.append((await house.administration.rotate(BOSS, "shop", overlap_s=0)).secret)
        await house.announce("a", 1)

    async with receiving() as receiver:
        await house.add("shop", receiver.url)
        async with house.delivering():
            await house.pass_s(2)
            overtaken.overtake = rotate_and_announce
            await house.until(lambda: len(receiver.taken) == 1)
    assert judge(secrets[0], receiver.taken[0]) == receiver.taken[0].document
    await overtaken.close()
