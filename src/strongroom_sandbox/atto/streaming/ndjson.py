"""A stream as an HTTP response of JSON lines."""

import asyncio

from litestar.types import Receive, Scope, Send

from strongroom_sandbox.atto.faults.connection import abort
from strongroom_sandbox.atto.streaming.streams import OpenStreams, Stream, StreamCut

NDJSON = "application/x-ndjson"


class NdjsonResponse:
    """Sends a stream until it ends or the client leaves.

    The status line goes out with the first line and not before, as from a real node: a client that waits for the
    headers of a quiet stream waits until something happens.
    """

    def __init__(self, streams: OpenStreams, stream: Stream) -> None:
        self._streams = streams
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        watcher = asyncio.create_task(self._end_on_disconnect(receive))
        try:
            await self._send(send)
        except StreamCut:
            await abort(scope, receive)
        finally:
            watcher.cancel()
            self._streams.close(self._stream)

    async def _send(self, send: Send) -> None:
        started = False
        while chunk := await self._stream.next_chunk():
            if not started:
                await self._start(send)
                started = True
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if not started:
            await self._start(send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _start(self, send: Send) -> None:
        headers = [(b"content-type", NDJSON.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def _end_on_disconnect(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._stream.end()
