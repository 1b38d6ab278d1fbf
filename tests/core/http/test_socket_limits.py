"""What one WebSocket may take."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from strongroom.core.http.connections.admission import Gate, Reason
from strongroom.core.http.connections.limits import ConnectionLimits
from strongroom.core.http.exposure import Access
from strongroom.core.http.listener import Listener, Surface
from strongroom.core.runtime.telemetry import Metrics
from support.running import PATIENCE_S
from support.waiting import eventually

Message = dict[str, Any]

FRAMES = 20


class House:
    def __init__(self, listener: Listener, metrics: Metrics) -> None:
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
async def house(limits: ConnectionLimits, messages_a_minute: int | None = None) -> AsyncIterator[House]:
    metrics = Metrics("test")
    surface = Surface(
        name="test",
        application=echo,
        host="127.0.0.1",
        port=0,
        access=Access.PUBLIC,
        messages_a_minute=messages_a_minute,
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
    async with house(ConnectionLimits(head_s=0.2)) as service:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(service.url.rpartition(":")[2]))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-")
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
