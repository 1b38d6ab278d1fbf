"""The event stream of one WebSocket connection."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from litestar import WebSocket
from litestar.exceptions import WebSocketDisconnect

from strongroom.core.clock import Clock
from strongroom.core.json_decoder import JsonDecoder
from strongroom_sandbox.hathor.flow import Flow, Refusal, RefusedError
from strongroom_sandbox.hathor.journal import Journal
from strongroom_sandbox.hathor.node import Faults, Node


class _Start(msgspec.Struct, tag="START_STREAM"):
    window_size: int
    last_ack_event_id: int | None = None


class _Ack(msgspec.Struct, tag="ACK"):
    ack_event_id: int
    window_size: int


class _Stop(msgspec.Struct, tag="STOP_STREAM"):
    pass


_decode = JsonDecoder[_Start | _Ack | _Stop](_Start | _Ack | _Stop).decode  # type: ignore[arg-type]


class Subscriptions:
    """Wakes every connection when there is a new event, and can cut them all."""

    def __init__(self, journal: Journal) -> None:
        self._connections: dict[_Connection, asyncio.Future[object]] = {}
        self.opened = 0
        """Connections since the start."""
        journal.on_event = self.wake

    def wake(self) -> None:
        for connection in self._connections:
            connection.wake()

    def cut_all(self) -> None:
        for task in self._connections.values():
            task.cancel()

    @property
    def count(self) -> int:
        return len(self._connections)

    @property
    def acknowledged(self) -> list[int]:
        """The last id that each connection acknowledged."""
        return [connection.flow.last_ack for connection in self._connections]

    async def serve(self, socket: "WebSocket[Any, Any, Any]", node: Node) -> None:
        """Follows one client until either side leaves."""
        await socket.accept()
        self.opened += 1
        connection = _Connection(socket, node)
        tasks = [asyncio.ensure_future(work) for work in connection.works()]
        sender, receiver, *_lines = tasks
        self._connections[connection] = sender
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._connections[connection]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if receiver.cancelled():
            await socket.close()


class _Connection:
    """The node's end: it sends an event a turn, follows requests in between, and never waits for the client."""

    def __init__(self, socket: "WebSocket[Any, Any, Any]", node: Node) -> None:
        self._socket = socket
        self._journal = node.chain.journal
        self._faults = node.faults
        self.flow = Flow()
        self._waker = asyncio.Event()
        self._out = _Line(node.clock, node.faults, self._deliver)
        self._in = _Line(node.clock, node.faults, self._follow)

    def works(self) -> list[Awaitable[object]]:
        return [self._send(), self._receive(), self._out.run(), self._in.run()]

    def wake(self) -> None:
        self._waker.set()

    async def _send(self) -> None:
        while True:
            self._waker.clear()
            while (event_id := self._next_id()) is not None:
                self.flow.sent(event_id)
                self._put(event_id)
                await asyncio.sleep(0)  # a turn of the loop, as the node takes one
            await self._waker.wait()

    def _next_id(self) -> int | None:
        return None if self._faults.silent else self.flow.next_id(self._journal.latest_id)

    def _put(self, event_id: int) -> None:
        if self._faults.skip_events > 0:
            self._faults.skip_events -= 1
            return
        frame = self._journal.frame(event_id).decode()
        self._out.put(frame)
        if self._faults.repeat_events > 0:
            self._faults.repeat_events -= 1
            self._out.put(frame)

    async def _receive(self) -> None:
        while True:
            try:
                self._in.put(await self._socket.receive_text())
            except WebSocketDisconnect:
                return

    async def _deliver(self, text: str) -> None:
        await self._socket.send_data(text, mode="text")

    async def _follow(self, text: str) -> None:
        try:
            _obey(self.flow, text)
        except RefusedError as error:
            answer = {"type": error.refusal.value, "invalid_request": text, "error_message": str(error)}
            self._out.put(msgspec.json.encode(answer).decode())
        self.wake()


class _Line:
    """One direction of a connection: texts arrive in order, each after the latency."""

    def __init__(self, clock: Clock, faults: Faults, deliver: Callable[[str], Awaitable[None]]) -> None:
        self._clock = clock
        self._faults = faults
        self._deliver = deliver
        self._texts: asyncio.Queue[tuple[float, str]] = asyncio.Queue()

    def put(self, text: str) -> None:
        self._texts.put_nowait((self._clock.monotonic_s() + self._faults.latency_ms / 1000, text))

    async def run(self) -> None:
        while True:
            due_s, text = await self._texts.get()
            if (wait_s := due_s - self._clock.monotonic_s()) > 0:
                await self._clock.sleep(wait_s)
            await self._deliver(text)


def _obey(flow: Flow, text: str) -> None:
    try:
        request = _decode(text)
    except msgspec.DecodeError as error:
        raise RefusedError(Refusal.INVALID) from error
    if isinstance(request, _Start):
        flow.start(request.window_size, request.last_ack_event_id)
    elif isinstance(request, _Ack):
        flow.acknowledge(request.ack_event_id, request.window_size)
    else:
        flow.stop()
