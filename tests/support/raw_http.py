"""A surface under limits, and peers that send it raw bytes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import Context
from typing import Any, Self

from strongroom.core.http.connections.admission import Gate, Reason
from strongroom.core.http.connections.limits import ConnectionLimits
from strongroom.core.http.door import Dialect, plain_dialect
from strongroom.core.http.exposure import Access
from strongroom.core.http.listener import MAX_BODY, Listener, Surface
from strongroom.core.runtime.telemetry import Metrics
from support.running import PATIENCE_S, running
from support.waiting import eventually

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]

BETWEEN_BYTES_S = 0.01


class Application:
    """Answers with the path and the size of the body; `/early` does not wait for the body, `/big` answers much."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.headers: list[tuple[bytes, bytes]] = []
        self.running = 0
        self.disconnected = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.asked.append(scope["path"])
        self.running += 1
        try:
            body = await self._body(scope["path"], receive)
            self.headers = scope["headers"]
            if body is not None:
                await self.may_answer.wait()
                await self._answer(scope["path"], body, send)
        finally:
            self.running -= 1

    async def _body(self, path: str, receive: Receive) -> int | None:
        size = 0
        while path != "/early":
            message = await receive()
            if message["type"] == "http.disconnect":
                self.disconnected += 1
                return None
            size += len(message["body"])
            if not message["more_body"]:
                break
        return size

    @staticmethod
    async def _answer(path: str, size: int, send: Send) -> None:
        answer = b"x" * 1_000_000 if path == "/big" else f"{path} {size}".encode()
        length = str(len(answer)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": answer})


class Timers:
    """The timers of the event loop, of which the test lets those run out that it means: no machine is too slow for it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._call_later = self._loop.call_later
        self._timers: list[tuple[float, asyncio.TimerHandle]] = []

    def __enter__(self) -> Self:
        self._loop.call_later = self._note  # type: ignore[method-assign, assignment]  # it takes any arguments
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_later = self._call_later  # type: ignore[method-assign]

    def _note(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = self._call_later(delay, callback, *args, context=context)
        self._timers.append((delay, timer))
        return timer

    async def run_out(self, seconds: float) -> None:
        """Waits for a timer of this many seconds, or of what is left of them, and lets its time be over."""
        await eventually(lambda: bool(self._set_to(seconds)))
        for timer in self._set_to(seconds):
            timer._run()
            timer.cancel()

    def _set_to(self, seconds: float) -> list[asyncio.TimerHandle]:
        return [
            timer for delay, timer in self._timers if seconds / 2 < delay <= seconds and not timer.cancelled()
        ]


async def a_head_has_begun(listener: Listener) -> None:
    """The first byte of a request was read."""
    connections: set[Any] = listener._server.server_state.connections
    await eventually(lambda: any(one._head_begun for one in connections))


class House:
    def __init__(
        self, listener: Listener, gate: Gate, application: Application, metrics: Metrics, timers: Timers
    ) -> None:
        self.listener = listener
        self.gate = gate
        self.timers = timers
        self.application = application
        self.metrics = metrics

    @asynccontextmanager
    async def peer(self) -> AsyncIterator["Peer"]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.listener.port, limit=2**24)
        try:
            yield Peer(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def ask(self, request: bytes) -> str:
        """Everything that comes until the service closes."""
        async with self.peer() as peer:
            await peer.send(request)
            return await peer.rest()

    def refused(self, reason: Reason) -> float:
        labels = {"surface": "test", "reason": reason.value}
        return self.metrics.registry.get_sample_value("strongroom_connections_refused_total", labels) or 0.0

    @property
    def open(self) -> float:
        return self.metrics.registry.get_sample_value("strongroom_connections") or 0.0


class Peer:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # what is refused is not read to its end
            self.writer.write(data)
            await self.writer.drain()

    async def answer(self) -> str:
        """The next answer with a length."""
        async with asyncio.timeout(PATIENCE_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            length = int(head.lower().partition("content-length: ")[2].partition("\r")[0])
            return head + (await self.reader.readexactly(length)).decode()

    async def rest(self) -> str:
        data = b""
        async with asyncio.timeout(PATIENCE_S):
            with contextlib.suppress(ConnectionResetError):
                while more := await self.reader.read(65_536):
                    data += more
        return data.decode()

    @asynccontextmanager
    async def trickling(self, data: bytes) -> AsyncIterator[asyncio.Task[str]]:
        """Sends byte after byte, without end, until the service answers and closes: then the task has what it said."""
        rest = asyncio.create_task(self.rest())

        async def trickle() -> None:
            while not rest.done():
                await self.send(data)
                await asyncio.wait([rest], timeout=BETWEEN_BYTES_S)

        async with running(trickle()):
            yield rest


@asynccontextmanager
async def house(
    limits: ConnectionLimits | None = None,
    *,
    max_body: int | None = MAX_BODY,
    dialect: Dialect = plain_dialect,
) -> AsyncIterator[House]:
    application, metrics = Application(), Metrics("test")
    surface = Surface(
        name="test",
        application=application,
        host="127.0.0.1",
        port=0,
        access=Access.PUBLIC,
        max_body=max_body,
        dialect=dialect,
    )
    gate = Gate(limits, metrics)
    listener = Listener(surface, gate=gate)
    with Timers() as timers:
        serving = asyncio.create_task(listener.serve())
        await listener.started()
        try:
            yield House(listener, gate, application, metrics, timers)
        finally:
            listener.stop()
            application.may_answer.set()
            await asyncio.wait_for(serving, PATIENCE_S)
