"""One attempt at an endpoint, and what is told of it to whoever operates the service."""

import socket
from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest

from strongroom.core.http.outbound.targets import Reach
from strongroom.core.webhooks.sender import Answer, Sender, Senders
from support.clock import ManualClock
from support.ports import free_port
from support.webhooks.house import LOOPBACK, WebhookReceiver, receiving

pytestmark = pytest.mark.anyio
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    sender = Senders(reach=LOOPBACK, clock=ManualClock()).make()
    yield sender
    await sender.close()


async def send(sender: Sender, url: str, *, shows_body: bool = False) -> Answer:
    return await sender.send(url, "evt_1", b"{}", [SECRET], shows_body=shows_body)


@pytest.mark.parametrize("status", [200, 204, 299])
async def test_an_event_is_taken_with_any_success(
    sender: Sender, receiver: WebhookReceiver, status: int
) -> None:
    receiver.status = lambda _: status
    answer = await send(sender, receiver.url)
    assert (answer.status, answer.trouble, answer.is_taken, answer.is_gone) == (status, None, True, False)
    (attempt,) = receiver.attempts
    assert attempt.body == b"{}"
    assert attempt.headers["webhook-timestamp"] == "1800000000"


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        (300, "it answered with status 300: redirects are not followed"),
        (307, "it answered with status 307: redirects are not followed"),
        (399, "it answered with status 399: redirects are not followed"),
        (400, "it answered with status 400"),
        (410, "it answered with status 410"),
        (500, "it answered with status 500"),
    ],
)
async def test_every_other_status_is_a_failure(
    sender: Sender, receiver: WebhookReceiver, status: int, trouble: str
) -> None:
    receiver.status = lambda _: status
    receiver.headers = ((b"location", receiver.url.encode()), (b"retry-after", b"7"))
    answer = await send(sender, receiver.url)
    assert answer == Answer(status=status, trouble=trouble)
    assert answer.is_gone == (status == 410)
    assert len(receiver.attempts) == 1


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "pause_s"),
    [("7", 7), ("0", 0), ("999999", 999_999), ("1000000", 0), ("-7", 0), ("7.5", 0), ("soon", 0), ("", 0)],
)
async def test_a_busy_endpoint_says_when_to_come_again(
    sender: Sender, receiver: WebhookReceiver, status: int, header: str, pause_s: int
) -> None:
    receiver.status = lambda _: status
    receiver.headers = ((b"retry-after", header.encode()),)
    assert (await send(sender, receiver.url)).pause_s == pause_s


async def test_a_busy_endpoint_may_say_nothing(sender: Sender, receiver: WebhookReceiver) -> None:
    receiver.status = lambda _: 503
    assert (await send(sender, receiver.url)).pause_s == 0


async def test_the_answer_is_shown_where_it_is_asked_for(sender: Sender, receiver: WebhookReceiver) -> None:
    receiver.status = lambda _: 200
    receiver.content = b"ok\x00\xff" + b"x" * 600
    assert (await send(sender, receiver.url)).body == ""
    shown = (await send(sender, receiver.url, shows_body=True)).body
    assert shown == "ok\ufffd" + "x" * 496, "the first 500 bytes, as far as they are printable"


async def test_nobody_listens(sender: Sender) -> None:
    answer = await send(sender, f"http://127.0.0.1:{free_port()}/canary")
    assert answer == Answer(status=None, trouble="no answer: nothing can be connected there")


async def test_a_name_without_an_address() -> None:
    def unknown(_host: str, _port: int) -> list[tuple[object, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "canary")

    sender = Sender(LOOPBACK, ManualClock(), unknown)
    answer = await send(sender, "http://nowhere.example/canary")
    await sender.close()
    assert answer == Answer(status=None, trouble="no answer: its name has no address")


@pytest.mark.parametrize("addresses", [("127.0.0.1",), ("127.0.0.1", "127.0.0.2")])
async def test_a_name_that_leads_inside_names_the_variable(
    receiver: WebhookReceiver, addresses: tuple[str, ...]
) -> None:
    def inside(_host: str, port: int) -> list[tuple[object, ...]]:
        kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(*kind, (address, port)) for address in addresses]

    sender = Sender(Reach(allows_http=True), ManualClock(), inside)
    answer = await send(sender, receiver.url.replace("127.0.0.1", "rebound.example"))
    await sender.close()
    expected = "its host leads to an address that is not public: see STRONGROOM_WEBHOOK_NETWORKS"
    assert answer == Answer(status=None, trouble=expected)
    assert receiver.attempts == []


@pytest.mark.parametrize(
    ("reach", "trouble"),
    [
        (Reach(allows_http=True), "127.0.0.1 is not public, and no allowed network has it"),
        (Reach(networks=LOOPBACK.networks), "The URL begins with https://"),
        (Reach(networks=(ip_network("10.0.0.0/8"),), allows_http=True), "127.0.0.1 is not public"),
    ],
)
async def test_what_was_allowed_when_the_endpoint_was_added_may_not_be_any_more(
    receiver: WebhookReceiver, reach: Reach, trouble: str
) -> None:
    sender = Sender(reach, ManualClock())
    answer = await send(sender, receiver.url)
    await sender.close()
    assert answer.status is None
    assert answer.trouble is not None
    assert answer.trouble.startswith(trouble)
    assert receiver.attempts == []
