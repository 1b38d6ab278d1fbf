"""What one connection may take of a surface, met with raw bytes."""

import socket

import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from strongroom.core.http.connections.admission import MAX_LINGERING, Gate, Reason
from strongroom.core.http.connections.connection import PIECE
from strongroom.core.http.connections.limits import MAX_HEAD, MAX_HEADERS, ConnectionLimits
from strongroom.core.http.connections.request_size import MAX_DISCARDED
from strongroom.core.http.door import Refused
from strongroom.core.http.forwarded import parse_proxies
from strongroom.core.http.listener import MAX_BODY, Surface
from strongroom.core.runtime.telemetry import Metrics
from support.clock import ManualClock
from support.raw_http import a_head_has_begun, house
from support.waiting import eventually

SOON_S = 0.2
KEPT = "GET / HTTP/1.1\r\nHost: x\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def head(**headers: str) -> bytes:
    return (KEPT + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n").encode()


def status(answer: str) -> int:
    return int(answer.split()[1])


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that reads why it is refused needs no 2 seconds for it."""
    monkeypatch.setattr("strongroom.core.http.connections.connection.LINGER_S", 0.3)


ENDLESS = {
    "one header": (b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"y", 431, Reason.HEAD_TOO_LARGE),
    "a name": (b"GET / HTTP/1.1\r\nHost: x\r\n", b"y", 431, Reason.HEAD_TOO_LARGE),
    "headers": (b"GET / HTTP/1.1\r\nHost: x\r\n", b"a: b\r\n", 431, Reason.HEAD_TOO_LARGE),
    "a folded header": (b"GET / HTTP/1.1\r\nHost: x\r\nX: y\r\n", b"z: \r\n", 431, Reason.HEAD_TOO_LARGE),
    "a URL": (b"GET /", b"y", 414, Reason.LINE_TOO_LONG),
    "empty lines": (b"", b"\r\n", 431, Reason.HEAD_TOO_LARGE),
    "a chunk's extension": (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;a=",
        b"y",
        431,
        Reason.FRAMING,
    ),
    "a trailer": (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
        b"y",
        431,
        Reason.FRAMING,
    ),
    "trailers": (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        b"a: b\r\n",
        431,
        Reason.FRAMING,
    ),
    "a WebSocket's handshake": (
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX: ",
        b"y",
        431,
        Reason.HEAD_TOO_LARGE,
    ),
}


@pytest.mark.parametrize("what", ENDLESS)
async def test_what_has_no_end_is_refused(what: str) -> None:
    beginning, more, expected, reason = ENDLESS[what]
    async with house() as service, service.peer() as peer:
        await peer.send(beginning)
        await peer.send(more * (2 * MAX_HEAD // len(more)))
        answer = await peer.rest()
        assert status(answer) == expected
        assert "connection: close" in answer
        assert service.refused(reason) == 1
        await eventually(lambda: service.open == 0)
        await eventually(lambda: service.application.running == 0)


async def test_the_largest_head_passes_and_one_byte_more_does_not() -> None:
    async with house() as service:
        for more, expected in ((0, 200), (1, 431)):
            name = "x" * (MAX_HEAD - len("/") - len("Host: x\r\n") - len(": \r\n") - 1 + more)
            request = f"GET / HTTP/1.1\r\nHost: x\r\n{name}: y\r\n\r\n".encode()
            async with service.peer() as peer:
                await peer.send(request)
                assert status(await peer.answer()) == expected


async def test_a_url_that_is_longer_than_a_head_may_be_is_refused_as_such() -> None:
    async with house() as service, service.peer() as peer:
        await peer.send(b"GET /" + b"x" * MAX_HEAD + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert status(await peer.rest()) == 414


async def test_many_headers_are_refused() -> None:
    async with house() as service:
        for more, expected in ((0, 200), (1, 431)):
            request = KEPT + "".join(f"h{number}: v\r\n" for number in range(MAX_HEADERS - 1 + more)) + "\r\n"
            async with service.peer() as peer:
                await peer.send(request.encode())
                assert status(await peer.answer()) == expected


async def test_a_trailer_does_not_pass_for_a_header() -> None:
    async with house() as service, service.peer() as peer:
        request = (
            b"POST /t HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: Authorization\r\n\r\n"
            b"3\r\nabc\r\n0\r\nAuthorization: Bearer forged\r\n\r\n"
        )
        await peer.send(request)
        assert (await peer.answer()).endswith("/t 3")
        assert b"authorization" not in dict(service.application.headers)


CHUNKED = b"POST /t HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_chunks_of_one_byte_are_not_too_much_framing() -> None:
    async with house() as service, service.peer() as peer:
        await peer.send(CHUNKED + b"1\r\ny\r\n" * 20_000 + b"0\r\n\r\n")
        assert (await peer.answer()).endswith("/t 20000")


async def test_framing_and_discarded_bytes_count_for_one_request() -> None:
    async with house() as service, service.peer() as peer:
        for _ in range(3):
            await peer.send(CHUNKED + b"1;" + b"x" * (MAX_HEAD // 2) + b"\r\ny\r\n0\r\n\r\n")
            assert (await peer.answer()).endswith("/t 1")
        size = MAX_DISCARDED // 2
        for _ in range(3):
            await peer.send(f"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode())
            assert status(await peer.answer()) == 200
            await peer.send(b"y" * size)
        await peer.send(LAST)
        assert (await peer.rest()).endswith("/last 0")


HEAD_S, BODY_S, IDLE_S = 1e3, 1e4, 1e5
LIMITED = ConnectionLimits(head_s=HEAD_S, body_s=BODY_S, idle_s=IDLE_S)
"""Limits that only run out when a test lets them."""


@pytest.mark.parametrize("beginning", [b"G", b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"\r\n"])
async def test_a_head_that_trickles_is_given_up(beginning: bytes) -> None:
    async with house(LIMITED) as service, service.peer() as peer:
        await peer.send(beginning)
        async with peer.trickling(beginning[-1:] if beginning != b"G" else b"") as answer:
            await a_head_has_begun(service.listener)
            await service.timers.run_out(HEAD_S)
            assert status(await answer) == 408
        assert service.refused(Reason.HEAD_TIMEOUT) == 1
        await eventually(lambda: service.open == 0)


async def test_a_second_head_that_trickles_is_given_up() -> None:
    async with house(LIMITED) as service, service.peer() as peer:
        await peer.send(head())
        assert status(await peer.answer()) == 200
        await peer.send(b"GET / HTTP/1.1\r\nX: ")
        async with peer.trickling(b"y") as answer:
            await service.timers.run_out(HEAD_S)
            assert status(await answer) == 408


async def test_a_silent_peer_is_disconnected_without_an_answer() -> None:
    async with house(LIMITED) as service, service.peer() as peer:
        await service.timers.run_out(HEAD_S)
        assert await peer.rest() == ""
        assert service.refused(Reason.HEAD_TIMEOUT) == 0


@pytest.mark.parametrize(
    ("request_head", "more"),
    [
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", b"y"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\ny\r\n"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"y"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n", b""),
    ],
)
async def test_a_body_that_trickles_is_given_up(request_head: bytes, more: bytes) -> None:
    async with house(LIMITED) as service, service.peer() as peer:
        await peer.send(request_head)
        async with peer.trickling(more) as answer:
            await service.timers.run_out(BODY_S)
            assert status((await answer).removeprefix("HTTP/1.1 100 Continue\r\n\r\n")) == 408
        assert service.refused(Reason.BODY_TIMEOUT) == 1
        await eventually(lambda: service.application.running == 0)
        assert service.application.disconnected == 1


async def test_an_idle_connection_is_closed_and_used_until_then() -> None:
    async with house(LIMITED) as service, service.peer() as peer:
        for _ in range(3):
            await peer.send(head())
            assert status(await peer.answer()) == 200
        await service.timers.run_out(IDLE_S)
        assert await peer.rest() == ""


async def test_a_connection_ends_with_its_next_answer_while_the_process_drains() -> None:
    async with house() as service, service.peer() as peer:
        await peer.send(head())
        assert "connection: close" not in (await peer.answer()).lower()
        service.gate.is_draining = True
        await peer.send(head())
        answer = await peer.rest()
        assert status(answer) == 200
        assert "connection: close" in answer.lower()


async def test_an_answer_that_takes_long_is_waited_for() -> None:
    async with house(LIMITED) as service, service.peer() as peer, service.peer() as other:
        service.application.may_answer.clear()
        await peer.send(head())
        await eventually(lambda: service.application.running == 1)
        await service.timers.run_out(HEAD_S)  # the time of those who owe something goes by
        assert await other.rest() == ""
        service.application.may_answer.set()
        assert status(await peer.answer()) == 200


async def test_pipelined_requests_wait_in_the_socket() -> None:
    async with house() as service, service.peer() as peer:
        service.application.may_answer.clear()
        peer.writer.write(head() * 20_000 + LAST)
        await eventually(lambda: service.application.running == 1)
        (connection,) = service.listener._server.server_state.connections
        assert len(connection.pipeline) <= PIECE // len(head())  # type: ignore[union-attr]  # of the HTTP kind
        service.application.may_answer.set()
        answers = await peer.rest()
        assert answers.count("HTTP/1.1 200") == 20_001
        assert answers.endswith("/last 0")


async def test_a_peer_that_never_reads_is_cut_off_and_holds_no_work() -> None:
    async with house(ConnectionLimits(unread_s=SOON_S)) as service, service.peer() as peer:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of a socket
        peer.writer.write(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n" * 10_000)
        await eventually(lambda: service.refused(Reason.UNREAD) == 1)
        await eventually(lambda: service.open == 0)
        assert service.application.running == 0
        assert len(service.application.asked) < 50


async def test_a_small_answer_that_nobody_reads_holds_no_closing_connection() -> None:
    """Fewer bytes are left than the transport calls many, so that nothing watches whether the peer reads."""
    unread_s = 1e3
    async with house(ConnectionLimits(unread_s=unread_s)) as service, service.peer() as peer:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of a socket
        peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        await eventually(lambda: service.open == 1)
        (connection,) = service.listener._server.server_state.connections
        transport = connection.transport
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        transport.set_write_buffer_limits(high=2**24)  # in place of an answer that fits what there is
        await peer.send(b"GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await eventually(transport.is_closing)
        assert transport.get_write_buffer_size() > 0
        await service.timers.run_out(unread_s)
        await eventually(lambda: service.open == 0)
        assert service.refused(Reason.UNREAD) == 0


async def test_a_slow_reader_gets_everything() -> None:
    async with house() as service, service.peer() as peer:
        await peer.send(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n" * 8 + LAST)
        size = 0
        while more := await peer.reader.read(4096):
            size += len(more)
        assert size > 8_000_000


async def test_a_refusal_waits_for_the_answers_before_it() -> None:
    async with house() as service, service.peer() as peer:
        service.application.may_answer.clear()
        await peer.send(head() + b"NONSENSE\r\n\r\n")
        await eventually(lambda: service.refused(Reason.MALFORMED) == 1)
        service.application.may_answer.set()
        first, _, second = (await peer.rest()).partition("/ 0")
        assert status(first) == 200
        assert status(second) == 400


async def test_what_comes_after_an_early_answer_is_thrown_away_within_limits() -> None:
    async with house() as service:
        async with service.peer() as peer:
            await peer.send(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
            assert status(await peer.answer()) == 200
            await peer.send(b"y" * 100_000 + LAST)
            assert (await peer.rest()).endswith("/last 0")
        async with service.peer() as peer:
            await peer.send(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
            assert status(await peer.answer()) == 200
            await peer.send(b"y" * 2 * MAX_DISCARDED)
            assert await peer.rest() == ""


async def test_a_body_that_is_larger_than_what_waits_for_the_application_may_be_answered_unread() -> None:
    """The body fills the application's buffer before the application answers without it; the next request is read."""
    async with house() as service, service.peer() as peer:
        await peer.send(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"y" * 100_000)
        assert status(await peer.answer()) == 200
        await peer.send(LAST)
        assert (await peer.rest()).endswith("/last 0")


@pytest.mark.parametrize(
    "request_head",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n" + b"y" * 101,
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n"
        + b"y" * 101
        + b"\r\n0\r\n\r\n",
    ],
)
async def test_a_body_above_the_surfaces_limit_is_refused(request_head: bytes) -> None:
    async with house(max_body=100) as service:
        assert status(await service.ask(request_head)) == 413
        await eventually(lambda: service.application.running == 0)


async def test_a_surface_that_says_nothing_takes_a_megabyte() -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    assert Surface.__dataclass_fields__["max_body"].default == MAX_BODY
    async with house() as service:
        assert status(await service.ask(head % (MAX_BODY + 1) + b"y" * (MAX_BODY + 1))) == 413
        assert status(await service.ask(head % MAX_BODY + b"y" * MAX_BODY)) == 200


AMBIGUOUS = [
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +4\r\n\r\nabcd",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -4\r\n\r\nabcd",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\nabcd",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcXX0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX\x00Y: z\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
    b"GET / HTTP/1.1\nHost: x\n\n",
    b"GET /\x80 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"POST / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 3\r\n\r\nabc",
    KEPT.encode()
    + b"\r\n"
    + b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
]


@pytest.mark.parametrize("request_bytes", AMBIGUOUS)
async def test_an_ambiguous_request_is_refused_and_nothing_is_smuggled(
    request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with house() as service:
        answers = await service.ask(request_bytes)
        statuses = [int(part[:3]) for part in answers.split("HTTP/1.1 ")[1:]]
        assert statuses[-1] == 400
        assert "/smuggled" not in service.application.asked
        await eventually(lambda: service.application.running == 0)
    assert "Exception in ASGI" not in caplog.text


async def test_an_offer_of_another_protocol_is_not_taken_and_the_request_is_answered() -> None:
    """As Java's client makes it with each request."""
    async with house() as service, service.peer() as peer:
        offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"
        await peer.send(
            f"POST /offer HTTP/1.1\r\nHost: x\r\n{offer}Content-Length: 3\r\n\r\nabc".encode() + LAST
        )
        assert (await peer.answer()).endswith("/offer 3")
        assert (await peer.rest()).endswith("/last 0")


async def test_a_peer_has_so_many_connections_and_gets_them_back() -> None:
    limits = ConnectionLimits(max_per_peer=2)
    async with house(limits) as service, service.peer() as first, service.peer() as second:
        for peer in (first, second):
            await peer.send(head())
            assert status(await peer.answer()) == 200
        refused = await service.ask(b"")
        assert status(refused) == 503
        assert "from your address" in refused
        assert service.refused(Reason.PEER_CONNECTIONS) == 1
        await first.send(LAST)
        await first.rest()
        await eventually(lambda: service.open == 1)
        assert (await service.ask(LAST)).endswith("/last 0")


@pytest.mark.parametrize("proxies", ["1", "127.0.0.0/8"])
async def test_a_trusted_proxy_is_not_one_peer(proxies: str) -> None:
    limits = ConnectionLimits(max_per_peer=1, max_connections=3, proxies=parse_proxies(proxies))
    async with house(limits) as service, service.peer() as first, service.peer() as second, service.peer():
        for peer in (first, second):
            await peer.send(head())
            assert status(await peer.answer()) == 200
        await eventually(lambda: service.open == 3)
        assert status(await service.ask(b"")) == 503
        assert service.refused(Reason.CONNECTIONS) == 1


async def test_a_refusal_is_worded_as_the_surface_does() -> None:
    def dialect(path: str, refused: Refused) -> bytes:
        return f"{path} {refused.code}".encode()

    async with house(dialect=dialect) as service:
        answer = await service.ask(b"POST /there?x HTTP/1.1\r\nHost: x\r\nContent-Length: z\r\n\r\n")
        assert answer.endswith("/there malformed")


def test_a_gate_counts_an_ipv6_network_as_one_peer() -> None:
    gate = Gate(ConnectionLimits(max_per_peer=1))
    first = gate.enter("2001:db8::1")
    assert not isinstance(first, Reason)
    assert gate.enter("2001:db8::2") is Reason.PEER_CONNECTIONS
    assert not isinstance(gate.enter("2001:db8:0:1::1"), Reason)
    first.end()
    first.end()  # twice counts once
    assert not isinstance(gate.enter("2001:db8::2"), Reason)
    assert gate.enter("2001:db8::1") is Reason.PEER_CONNECTIONS


def test_a_peer_s_connections_to_one_surface_keep_it_from_no_other() -> None:
    gate = Gate(ConnectionLimits(max_per_peer=1))
    assert not isinstance(gate.enter("127.0.0.1", surface="hathor-ws"), Reason)
    assert gate.enter("127.0.0.1", surface="hathor-ws") is Reason.PEER_CONNECTIONS
    assert not isinstance(gate.enter("127.0.0.1", surface="atto"), Reason)


def test_only_some_refused_connections_get_the_reason() -> None:
    gate = Gate()
    places = [gate.linger() for _ in range(MAX_LINGERING)]
    assert gate.linger() is None
    assert places[0] is not None
    places[0].end()
    assert gate.linger() is not None


def test_a_flood_of_refusals_is_one_line_a_minute(clock: ManualClock) -> None:
    metrics = Metrics("test")
    gate = Gate(metrics=metrics, clock=clock)
    with capture_logs() as logs:
        for _ in range(100):
            gate.note("test", Reason.MALFORMED, "192.0.2.1")
        clock.advance(60)
        gate.note("test", Reason.MALFORMED, "192.0.2.1")
    assert len(logs) == 2
    assert (
        b'strongroom_connections_refused_total{reason="malformed",surface="test"} 101.0'
        in generate_latest(metrics.registry)
    )
