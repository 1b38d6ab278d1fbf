"""The client of Firebase Cloud Messaging, against a server that speaks its interface."""

from collections.abc import AsyncGenerator

import pytest

from strongroom.hathor.notifications.fcm import SCOPE, Fcm, NotSent, PushResult
from support import clock as clocks
from support.hathor import fcm as server
from support.hathor.fcm import Answer, FakeFcm, running_fcm

pytestmark = pytest.mark.anyio

DATA = {"txId": "ab" * 32}


@pytest.fixture
async def fake() -> AsyncGenerator[FakeFcm]:
    async with running_fcm() as fcm:
        yield fcm


@pytest.fixture
async def client(fake: FakeFcm, clock: clocks.ManualClock) -> AsyncGenerator[Fcm]:
    fcm = Fcm(fake.account(), fake.url + "/", clock)
    yield fcm
    await fcm.close()


async def test_a_message_and_its_token(fake: FakeFcm, client: Fcm, clock: clocks.ManualClock) -> None:
    for _ in range(2):
        assert await client.send("device", DATA) is PushResult.SENT
    assert fake.sent[0] == {
        "token": "device",
        "data": DATA,
        "android": {"priority": "high"},
        "apns": {"headers": {"apns-priority": "5"}, "payload": {"aps": {"content-available": 1}}},
    }
    now_s = clock.now_ms() // 1000
    claims = {
        "iss": server.EMAIL,
        "scope": SCOPE,
        "aud": f"{fake.url}/token",
        "iat": now_s,
        "exp": now_s + 3600,
    }
    assert fake.assertions == [claims]
    clock.advance(3_545)  # nearly its end
    assert await client.send("device", DATA) is PushResult.SENT
    assert len(fake.assertions) == 2


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (server.UNREGISTERED, PushResult.UNREGISTERED),
        (server.INVALID_TOKEN, PushResult.UNREGISTERED),
        (server.INVALID_MESSAGE, PushResult.REFUSED),
    ],
)
async def test_what_is_final(fake: FakeFcm, client: Fcm, answer: Answer, result: PushResult) -> None:
    fake.answers["device"] = [answer]
    assert await client.send("device", DATA) is result


@pytest.mark.parametrize(
    ("answer", "pause_s"),
    [
        (server.UNAVAILABLE, 30.0),
        (server.QUOTA, 60.0),
        (server.INTERNAL, 0.0),
        (server.NO_JSON, 0.0),
        (server.NO_PROJECT, 0.0),
        (server.OTHER_SENDER, 0.0),
        (server.APNS, 0.0),
    ],
)
async def test_what_is_tried_again(fake: FakeFcm, client: Fcm, answer: Answer, pause_s: float) -> None:
    """Among them are mistakes of the installation, which would cost every device if they were taken for the device's."""
    fake.answers["device"] = [answer]
    with pytest.raises(NotSent) as raised:
        await client.send("device", DATA)
    assert raised.value.pause_s == pause_s
    assert str(answer.status) in raised.value.message


async def test_a_token_that_was_revoked_is_replaced(fake: FakeFcm, client: Fcm) -> None:
    await client.send("device", DATA)
    fake.valid.clear()
    with pytest.raises(NotSent, match="401"):
        await client.send("device", DATA)
    assert await client.send("device", DATA) is PushResult.SENT


async def test_a_key_that_is_not_the_accounts(fake: FakeFcm, clock: clocks.ManualClock) -> None:
    account = fake.account()
    server.private_key.cache_clear()
    stranger = Fcm(account, fake.url, clock)
    with pytest.raises(NotSent, match="refused with 400"):
        await stranger.send("device", DATA)
    await stranger.close()
    assert fake.asked == 0


async def test_nobody_there(clock: clocks.ManualClock) -> None:
    account = FakeFcm(url="http://127.0.0.1:9").account()
    client = Fcm(account, "http://127.0.0.1:9", clock)
    with pytest.raises(NotSent, match="not reachable"):
        await client.send("device", DATA)
    await client.close()
