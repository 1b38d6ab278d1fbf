"""The event stream of one WebSocket connection."""

import asyncio
from typing import Any

import msgspec
from litestar import WebSocket
from litestar.exceptions import WebSocketDisconnect

from strongroom.sandbox.hathor.flow import Flow, Refusal, RefusedError
from strongroom.sandbox.hathor.journal import Journal
from strongroom.sandbox.hathor.node import Faults


class _Start(msgspec.Struct, tag="START_STREAM"):
    window_size: int
    last_ack_event_id: int | None = None


class _Ack(msgspec.Struct, tag="ACK"):
    ack_event_id: int
    window_size: int


class _Stop(msgspec.Struct, tag="STOP_STREAM"):
    pass


_decode = msgspec.json.Decoder(_Start | _Ack | _Stop).decode


class Subscriptions:
    """Wakes every connection when there is a new event, and can cut them all."""

    def __init__(self, journal: Journal) -> None:
        self._wakers: dict[asyncio.Event, asyncio.Task[None]] = {}
        journal.on_event = self.wake

    def wake(self) -> None:
        for waker in self._wakers:
            waker.set()

    def cut_all(self) -> None:
        for task in self._wakers.values():
            task.cancel()

    @property
    def count(self) -> int:
        return len(self._wakers)

    async def serve(self, socket: "WebSocket[Any, Any, Any]", journal: Journal, faults: Faults) -> None:
        """Follows one client until either side leaves."""
        await socket.accept()
        flow, waker = Flow(), asyncio.Event()
        sender = asyncio.ensure_future(_send(socket, journal, faults, flow, waker))
        self._wakers[waker] = sender
        receiver = asyncio.ensure_future(_receive(socket, flow, waker))
        try:
            await asyncio.wait({sender, receiver}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._wakers[waker]
            for task in (sender, receiver):
                task.cancel()
            await asyncio.gather(sender, receiver, return_exceptions=True)
        if not receiver.done() or receiver.cancelled():
            await socket.close()


async def _send(
    socket: "WebSocket[Any, Any, Any]",
    journal: Journal,
    faults: Faults,
    flow: Flow,
    waker: asyncio.Event,
) -> None:
    while True:
        waker.clear()
        while not faults.silent and (event_id := flow.next_id(journal.latest_id)) is not None:
            flow.sent(event_id)
            if faults.skip_events > 0:
                faults.skip_events -= 1
                continue
            frame = journal.frame(event_id)
            await socket.send_data(frame.decode(), mode="text")
            if faults.repeat_events > 0:
                faults.repeat_events -= 1
                await socket.send_data(frame.decode(), mode="text")
        await waker.wait()


async def _receive(socket: "WebSocket[Any, Any, Any]", flow: Flow, waker: asyncio.Event) -> None:
    while True:
        try:
            text = await socket.receive_text()
        except WebSocketDisconnect:
            return
        try:
            _follow(flow, text)
        except RefusedError as error:
            answer = {"type": error.refusal.value, "invalid_request": text, "error_message": str(error)}
            await socket.send_data(msgspec.json.encode(answer).decode(), mode="text")
        waker.set()


def _follow(flow: Flow, text: str) -> None:
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
