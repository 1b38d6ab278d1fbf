"""What one WebSocket may take."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.typing import Subprotocol

from strongroom.core.http.connections.admission import Gate, Reason
from strongroom.core.http.connections.limits import ConnectionLimits
from strongroom.core.http.connections.shown import connection_of
from strongroom.core.http.connections.websockets import LINGER_S
from strongroom.core.http.exposure import Access
from strongroom.core.http.listener import PING_S, Listener, Surface
from strongroom.core.runtime.telemetry import Metrics
from support.raw_http import Timers, a_head_has_begun
from support.running import PATIENCE_S
from support.waiting import eventually

Message = dict[str, Any]

FRAMES = 20


class House:
    def __init__(self, listener: Listener, metrics: Metrics) -> None:
        self.listener = listener
        self.url = listener.url.replace("http", "ws", 1)
        self.metrics = metrics

    def refused(self, reason: Reason) -> float:
        labels = {"surface": "test", "reason": reason.value}
        return self.metrics.registry.get_sample_value("strongroom_connections_refused_total", labels) or 0.0

    @property
    def open(self) -> float:
        return self.metrics.registry.get_sample_value("strongroom_connections") or 0.0


async def echo(
    _scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


@asynccontextmanager
async def house(
    limits: ConnectionLimits,
    messages_a_minute: int | None = None,
    application: Any = echo,
    *,
    compresses_frames: bool = True,
) -> AsyncIterator[House]:
    metrics = Metrics("test")
    surface = Surface(
        name="test",
        application=application,
        host="127.0.0.1",
        port=0,
        access=Access.PUBLIC,
        messages_a_minute=messages_a_minute,
        compresses_frames=compresses_frames,
    )
    listener = Listener(surface, gate=Gate(limits, metrics))
    serving = asyncio.create_task(listener.serve())
    await listener.started()
    try:
        yield House(listener, metrics)
    finally:
        listener.stop()
        await asyncio.wait_for(serving, PATIENCE_S)


LIMITED = ConnectionLimits(messages_a_minute=FRAMES)


async def test_a_peer_may_say_so_much_at_once() -> None:
    async with house(LIMITED) as service, connect(service.url) as peer:
        for number in range(FRAMES):
            await peer.send(str(number))
            assert await peer.recv() == str(number)
        await peer.send("one more")
        with pytest.raises(ConnectionClosed) as closed:
            await peer.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "Too many messages")
        assert service.refused(Reason.MESSAGES) == 1
    await eventually(lambda: service.open == 0)


async def test_a_surface_may_allow_more() -> None:
    async with house(LIMITED, messages_a_minute=10 * FRAMES) as service, connect(service.url) as peer:
        for number in range(2 * FRAMES):
            await peer.send(str(number))
            assert await peer.recv() == str(number)


PINGS = bytes((0x89, 0x80, 0, 0, 0, 0)) * 100_000
PONGS = bytes((0x8A, 0x80, 0, 0, 0, 0)) * 100_000
EMPTY_PARTS = bytes((0x01, 0x80, 0, 0, 0, 0)) + bytes((0x00, 0x80, 0, 0, 0, 0)) * 100_000


@pytest.mark.parametrize("flood", [PINGS, PONGS, EMPTY_PARTS])
async def test_frames_of_every_kind_count(flood: bytes) -> None:
    async with house(LIMITED) as service, connect(service.url) as peer:
        peer.transport.write(flood)
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(peer.recv(), PATIENCE_S)
        assert service.refused(Reason.MESSAGES) == 1
    await eventually(lambda: service.open == 0)


async def test_a_socket_keeps_its_place_among_the_connections() -> None:
    async with house(ConnectionLimits(max_per_peer=1)) as service:
        async with connect(service.url):
            with pytest.raises(InvalidStatus) as refused:
                await connect(service.url)
            assert refused.value.response.status_code == 503
            assert service.open == 1
        await eventually(lambda: service.open == 0)
        async with connect(service.url) as peer:
            await peer.send("again")
            assert await peer.recv() == "again"


@pytest.mark.parametrize(
    ("header", "status"), [("X: " + "y" * 10_000, 431), ("\r\n".join(["a: b"] * 200), 431), ("X: \xff", 101)]
)
async def test_a_handshake_that_is_too_much_for_websocket_is_refused(header: str, status: int) -> None:
    async with house(LIMITED) as service:
        port = int(service.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        request = (
            "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{header}\r\n\r\n"
        )
        writer.write(request.encode("latin-1"))
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n"), PATIENCE_S)
        assert int(answer.split()[1]) == status
        writer.close()
        await eventually(lambda: service.open == 0)


async def test_a_head_that_stops_amid_a_handshake_is_given_up() -> None:
    head_s = 1e3
    with Timers() as timers:
        async with house(ConnectionLimits(head_s=head_s)) as service:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(service.url.rpartition(":")[2]))
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-")
            await a_head_has_begun(service.listener)
            await timers.run_out(head_s)
            answer = await asyncio.wait_for(reader.read(), PATIENCE_S)
            assert int(answer.split()[1]) == 408
            writer.close()


async def test_text_that_is_none_ends_the_connection_without_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whole, and in two frames."""
    async with house(LIMITED) as service:
        for frames in ([b"\xff\xfe"], [b"a", b"\xff"]):
            async with connect(service.url) as peer:
                await peer.send(frames if len(frames) > 1 else frames[0], text=True)
                with pytest.raises(ConnectionClosed) as closed:
                    await peer.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1007
        assert service.refused(Reason.MALFORMED) == 2
        async with connect(service.url) as peer:
            await peer.send(
                ["\u00e4".encode()[:1], "\u00e4".encode()[1:]], text=True
            )  # a letter in two frames
            assert await peer.recv() == "\u00e4"
    assert "Traceback" not in caplog.text


REQUEST = (
    b"GET /a%20b?c=d HTTP/1.1\r\nHost: x\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


def masked(first: int, payload: bytes) -> bytes:
    return bytes((first, 0x80 | len(payload), 0, 0, 0, 0)) + payload


@asynccontextmanager
async def raw_peer(service: House) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection that has sent its handshake and does nothing of itself."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(service.url.rpartition(":")[2]))
    writer.write(REQUEST + b"\r\n")
    yield reader, writer
    writer.close()


async def accepted(reader: asyncio.StreamReader) -> None:
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
    assert answer.startswith(b"HTTP/1.1 101 ")


async def test_a_message_may_come_in_parts_and_compressed() -> None:
    async with house(LIMITED) as service, connect(service.url, compression="deflate") as peer:
        assert peer.response is not None
        assert "permessage-deflate" in peer.response.headers["Sec-WebSocket-Extensions"]
        await peer.send(["one ", "two ", "three"])
        assert await peer.recv() == "one two three"
        await peer.send("x" * 100_000)
        assert await peer.recv() == "x" * 100_000


async def test_a_surface_may_leave_messages_uncompressed() -> None:
    async with house(LIMITED, compresses_frames=False) as service, connect(service.url) as peer:
        assert peer.response is not None
        assert "Sec-WebSocket-Extensions" not in peer.response.headers


async def test_a_frame_that_comes_before_the_answer_waits_for_it() -> None:
    answer = asyncio.Event()

    async def slow(_scope: Message, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
        assert await receive() == {"type": "websocket.connect"}
        await answer.wait()
        await send({"type": "websocket.accept"})
        assert await receive() == {"type": "websocket.receive", "text": "early"}
        await send({"type": "websocket.send", "bytes": b"heard"})

    said = b"\x8a\x04ping" + b"\x82\x05heard" + b"\x88\x02\x03\xe8"  # a pong, the message, 1000
    with Timers() as timers:
        async with house(LIMITED, application=slow) as service, raw_peer(service) as (reader, writer):
            await eventually(lambda: service.open == 1)
            writer.write(masked(0x89, b"ping") + masked(0x81, b"early"))
            answer.set()
            await accepted(reader)
            assert await asyncio.wait_for(reader.readexactly(len(said)), PATIENCE_S) == said
            await timers.run_out(LINGER_S)  # the peer sends no close of its own
            assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""


async def test_a_peer_that_answers_no_ping_is_closed_with_1011() -> None:
    heard: list[Message] = []

    async def listening(_scope: Message, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        heard.append(await receive())

    ping, why = b"\x89\x04\x00\x00\x00\x01", b"keepalive ping timeout"
    with Timers() as timers:
        async with house(LIMITED, application=listening) as service, raw_peer(service) as (reader, _):
            await accepted(reader)
            await timers.run_out(PING_S)
            assert await asyncio.wait_for(reader.readexactly(len(ping)), PATIENCE_S) == ping
            await timers.run_out(PING_S)
            close = bytes((0x88, 2 + len(why))) + (1011).to_bytes(2) + why
            assert await asyncio.wait_for(reader.read(), PATIENCE_S) == close
    assert heard == [{"type": "websocket.disconnect", "code": 1011, "reason": why.decode()}]


async def test_the_scope_is_that_of_the_handshake() -> None:
    scopes: list[Message] = []

    async def noting(scope: Message, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
        scopes.append(scope)
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "b", "headers": [(b"x-more", b"yes")]})

    async with house(LIMITED, application=noting) as service:
        async with connect(
            f"{service.url}/a%20b?c=d", subprotocols=[Subprotocol("a"), Subprotocol("b")]
        ) as peer:
            assert peer.response is not None
            assert peer.response.headers["X-More"] == "yes"
            assert peer.subprotocol == "b"
        (scope,) = scopes
        kinds = {
            name: scope[name]
            for name in ("type", "scheme", "path", "raw_path", "query_string", "subprotocols")
        }
        assert kinds == {
            "type": "websocket",
            "scheme": "ws",
            "path": "/a b",
            "raw_path": b"/a%20b",
            "query_string": b"c=d",
            "subprotocols": ["a", "b"],
        }
        assert scope["client"][0] == "127.0.0.1"


async def failing(_scope: Message, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    await receive()
    raise ValueError("a defect")


async def refusing(_scope: Message, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
    await receive()
    await send({"type": "websocket.close"})
    assert (await receive())["type"] == "websocket.disconnect"


async def saying_no(_scope: Message, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
    await receive()
    await send({"type": "websocket.http.response.start", "status": 418, "headers": [(b"x-why", b"tea")]})
    await send({"type": "websocket.http.response.body", "body": b"a ", "more_body": True})
    await send({"type": "websocket.http.response.body", "body": b"pot"})


async def silent(_scope: Message, receive: Callable[[], Awaitable[Message]], _send: Any) -> None:
    await receive()


async def confused(_scope: Message, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
    await receive()
    await send({"type": "websocket.send", "text": "before the handshake"})


async def test_an_application_is_told_what_it_may_send(caplog: pytest.LogCaptureFixture) -> None:
    with structlog.testing.capture_logs() as lines:
        async with house(LIMITED, application=confused) as service:
            with pytest.raises(InvalidStatus):
                await connect(service.url)
    (line,) = [line for line in lines if line["event"] == "a defect"]
    allowed = "websocket.accept or websocket.close or websocket.http.response.start"
    assert f"An application may send {allowed} now, not websocket.send" in line["traceback"]
    assert "Traceback" not in caplog.text  # the log line has it, without the values of variables


async def test_an_application_that_fails_ends_the_connection_with_1011() -> None:
    async with house(LIMITED, application=failing) as service, connect(service.url) as peer:
        await peer.send("go")
        with pytest.raises(ConnectionClosed) as closed:
            await peer.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1011


@pytest.mark.parametrize(
    ("application", "status", "body"),
    [
        (refusing, 403, b""),
        (saying_no, 418, b"a pot"),
        (silent, 500, b"Internal Server Error"),
        (confused, 500, b"Internal Server Error"),
    ],
)
async def test_an_application_may_refuse_the_handshake(application: Any, status: int, body: bytes) -> None:
    async with house(LIMITED, application=application) as service:
        with pytest.raises(InvalidStatus) as refused:
            await connect(service.url)
        response = refused.value.response
        assert (response.status_code, response.body) == (status, body)
        assert response.headers["Connection"] == "close"
        assert response.headers.get("X-Why") == ("tea" if application is saying_no else None)
        await eventually(lambda: service.open == 0)


async def test_an_application_hears_how_a_connection_ended() -> None:
    heard: list[Message] = []
    failed: list[OSError] = []

    async def listening(_scope: Message, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        heard.append(await receive())
        try:
            await send({"type": "websocket.send", "text": "to nobody"})
        except OSError as error:
            failed.append(error)

    async with house(LIMITED, application=listening) as service:
        async with connect(service.url) as peer:
            await peer.close(4001, "enough")
        await eventually(lambda: bool(failed))
    assert heard == [{"type": "websocket.disconnect", "code": 4001, "reason": "enough"}]


async def test_an_application_may_cut_a_connection_off() -> None:
    async def cutting(scope: Message, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
        await receive()
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
        connection = connection_of(scope)
        assert connection is not None
        connection.abort()
        while not (await receive())["type"].endswith(".disconnect"):
            pass

    async with house(LIMITED, application=cutting) as service:
        async with connect(service.url) as peer:
            with pytest.raises(ConnectionClosed) as closed:
                await peer.recv()
            assert closed.value.rcvd is None
        reader, writer = await asyncio.open_connection("127.0.0.1", int(service.url.rpartition(":")[2]))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
        writer.close()
    assert connection_of({"type": "http"}) is None


@pytest.mark.parametrize(("accepts", "code"), [(True, 1005), (False, 1006)])
async def test_an_application_hears_that_a_connection_was_lost(accepts: bool, code: int) -> None:
    heard: list[Message] = []

    async def cutting(scope: Message, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
        await receive()
        if accepts:
            await send({"type": "websocket.accept"})
        connection = connection_of(scope)
        assert connection is not None
        connection.abort()
        heard.append(await receive())

    async with house(LIMITED, application=cutting) as service:
        with pytest.raises((OSError, ConnectionClosed, InvalidMessage)):
            await (await connect(service.url)).recv()
        await eventually(lambda: bool(heard))
    assert heard == [{"type": "websocket.disconnect", "code": code, "reason": ""}]


async def test_a_stop_ends_a_connection_with_1012() -> None:
    async with house(LIMITED) as service, connect(service.url) as peer:
        service.listener.stop()
        with pytest.raises(ConnectionClosed) as closed:
            await peer.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012


async def test_a_message_that_is_too_large_or_malformed_ends_the_connection() -> None:
    for sent, code in ((b"\x81\xff" + (2**40).to_bytes(8) + bytes(4), 1009), (b"\xff\x80", 1002)):
        async with house(LIMITED) as service, connect(service.url) as peer:
            peer.transport.write(sent)
            with pytest.raises(ConnectionClosed) as closed:
                await peer.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == code
