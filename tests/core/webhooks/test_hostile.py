"""Receivers that lie, redirect, drip or answer without end delay no other, and lose nothing."""

import itertools
import ssl
from collections.abc import Iterable
from pathlib import Path

import pytest

from strongroom.core.webhooks import sender as sender_module
from support.certificates import Authority
from support.hostile_peer import Answer, hostile_peer
from support.webhooks.house import BOSS, WebhookHouse, receiving
from support.webhooks.page import assert_as_documented

pytestmark = pytest.mark.anyio


def once(*pieces: bytes) -> Answer:
    return lambda: pieces


def _endless_body() -> Iterable[bytes]:
    yield b"HTTP/1.1 500 Oops\r\nContent-Length: 10000000\r\n\r\n"
    yield from itertools.repeat(b"x" * 65536, 150)


def _endless_head() -> Iterable[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    yield from itertools.repeat(b"X-Drip: drop\r\n", 100_000)


HOSTILE: dict[str, Answer] = {
    "garbage": once(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "a status of letters": once(b"HTTP/1.1 OKAY fine\r\n\r\n"),
    "a status of 1000": once(b"HTTP/1.1 1000 fine\r\nContent-Length: 0\r\n\r\n"),
    "a status of 000": once(b"HTTP/1.1 000 fine\r\nContent-Length: 0\r\n\r\n"),
    "a head without end": _endless_head,
    "ten megabytes of refusal": _endless_body,
    "a redirect inside": once(
        b"HTTP/1.1 307 There\r\nLocation: http://169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n"
    ),
    "endless informational answers": lambda: itertools.repeat(b"HTTP/1.1 103 Early Hints\r\n\r\n", 20_000),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_answer_is_a_failure_that_delays_no_other(house: WebhookHouse, name: str) -> None:
    async with hostile_peer(HOSTILE[name]) as peer, receiving() as receiver:
        await house.add("hostile", peer.url)
        await house.add("shop", receiver.url)
        for number in range(10):
            await house.announce(f"stream {number}", number)
        async with house.delivering():
            await house.until(lambda: len(receiver.taken) == 10 and bool(peer.requests))
            await house.pass_s(10)
        states = await house.administration.events("hostile")
        assert {one.state.value for one in states} == {"waiting"}, "nothing is lost"
        assert peer.sent < 4_000_000 * max(1, len(peer.requests))


async def test_a_long_answer_that_takes_the_event_is_not_read(house: WebhookHouse) -> None:
    def answer() -> Iterable[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n"
        yield from itertools.repeat(b"x" * 65536, 152)

    async with hostile_peer(answer) as peer:
        await house.add("shop", peer.url)
        await house.announce("a", 1)
        async with house.delivering():
            await house.until_states("shop", ["delivered"])
        assert peer.sent < 8_000_000


async def test_a_connection_that_closes_before_its_answer_is_tried_again(house: WebhookHouse) -> None:
    def closing() -> Iterable[bytes]:
        raise OSError

    async with hostile_peer(closing) as peer:
        await house.add("shop", peer.url)
        await house.announce("a", 1)
        async with house.delivering():
            await house.until(lambda: len(peer.requests) >= 3, step_s=5)
        (event,) = await house.administration.events("shop")
        assert (event.state.value, event.status) == ("waiting", None)


async def test_a_receiver_that_drips_is_left_after_the_time_limit(
    house: WebhookHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "TIMEOUT_S", 0.2)
    async with (
        hostile_peer(once(*(bytes([each]) for each in b"HTTP/1.1 2"))) as peer,
        receiving() as receiver,
    ):
        await house.add("drips", peer.url)
        await house.add("shop", receiver.url)
        await house.announce("a", 1)
        async with house.delivering():
            await house.until(lambda: len(receiver.taken) == 1 and len(peer.requests) >= 2, step_s=5)
        (event,) = await house.administration.events("drips")
        assert event.trouble == "no answer: it has not answered within 15 seconds"


async def test_a_certificate_that_nobody_vouches_for_is_refused(house: WebhookHouse, tmp_path: Path) -> None:
    certificate = Authority(tmp_path).own
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate.pair)
    async with hostile_peer(once(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), tls=context) as peer:
        await house.add("shop", peer.url)
        answer = await house.administration.test(BOSS, "shop")
        assert answer.trouble == "no answer: its certificate is not trusted"
        assert peer.requests == []


async def test_a_test_shows_the_beginning_of_the_answer_alone(house: WebhookHouse) -> None:
    async with receiving() as receiver:
        receiver.content = b"thanks\x1b[31m" + b"x" * 5000
        receiver.status = lambda _: 418
        await house.add("shop", receiver.url)
        answer = await house.administration.test(BOSS, "shop")
    assert (answer.status, answer.is_taken) == (418, False)
    assert answer.body.startswith("thanks[31mx")
    assert len(answer.body) < 500
    assert receiver.attempts[0].document["type"] == "webhook.test"
    assert_as_documented(receiver.attempts[0].document)
    assert await house.states("shop") == [], "a test waits in no queue"
