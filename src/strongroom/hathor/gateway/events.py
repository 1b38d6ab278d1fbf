"""The full node as the sync sees it: its settings, pages of events, and the stream of events."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http import HTTPStatus
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import msgspec

from strongroom.core.errors import Unavailable
from strongroom.core.http.outbound.client import ExcessiveAnswer, HttpClient, OutboundError
from strongroom.core.json_decoder import JsonDecoder, decode_json
from strongroom.hathor.gateway import NodeVersion
from strongroom.hathor.protocol.events import Frame, Page

REQUEST_TIMEOUT_S = 10.0
PING_S = 5.0
"""A connection whose pong does not come within half of it is closed."""
MAX_FRAME_BYTES = 16 * 2**20
PAGE_SIZES = (1_000, 50)
"""The most that a node gives; and what fits into an answer also where every event is as large as one may be."""
MAX_BYTES_AHEAD = 64 * 2**20
"""Bytes of frames that wait to be applied; beyond that the node has to wait too."""


decode_page = JsonDecoder(Page).decode
decode_frame = JsonDecoder(Frame).decode


class _TooMuch(Unavailable):
    """The answer is larger than an answer may be."""


class HttpEventNode:
    """A node over HTTP and WebSocket. `url` is the base of its API, for example `https://host/v1a/`."""

    def __init__(self, url: str, ws_url: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._ws_url = ws_url or _websocket_url(self._url)
        self._client = HttpClient()

    async def version(self) -> NodeVersion:
        """Raises: Unavailable."""
        try:
            return decode_json(await self._get("/version"), NodeVersion)
        except msgspec.DecodeError as error:
            raise Unavailable(f"The node's version is not understood: {error}") from error

    async def page(self, after_id: int) -> Page:
        """At most a thousand events after an id (-1: from the first). Raises: Unavailable."""
        after = {} if after_id < 0 else {"last_ack_event_id": str(after_id)}
        most, fewer = PAGE_SIZES
        try:
            content = await self._get("/event", {"size": str(most), **after})
        except _TooMuch:
            content = await self._get("/event", {"size": str(fewer), **after})
        try:
            return decode_page(content)
        except msgspec.DecodeError as error:
            raise Unavailable(f"The node's page of events is not understood: {error}") from error

    @asynccontextmanager
    async def stream(self) -> AsyncGenerator["WebSocketStream"]:
        """Opens the event stream. Raises: Unavailable."""
        try:
            socket = await self._client.open_websocket(
                self._ws_url, heartbeat_s=PING_S, max_frame_bytes=MAX_FRAME_BYTES, timeout_s=REQUEST_TIMEOUT_S
            )
        except OutboundError as error:
            raise Unavailable(f"The node's event stream does not open ({error})") from error
        stream = WebSocketStream(socket)
        try:
            yield stream
        finally:
            await stream.close()

    async def close(self) -> None:
        await self._client.close()

    async def _get(self, path: str, query: dict[str, str] | None = None) -> bytes:
        try:
            answer = await self._client.ask(
                "GET", self._url + path, params=query, timeout_s=REQUEST_TIMEOUT_S
            )
        except ExcessiveAnswer as error:
            raise _TooMuch(f"The node does not answer as a node does: {error}") from error
        except OutboundError as error:
            raise Unavailable(f"The node does not answer ({error})") from error
        if answer.status != HTTPStatus.OK:
            raise Unavailable(f"The node answers {answer.status} to {path}")
        return answer.content


class WebSocketStream:
    """Reads ahead, so that a batch is whatever has come while the one before it was applied."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._frames: deque[str] = deque()
        self._bytes = 0
        self._room = asyncio.Event()
        self._news = asyncio.Event()
        self._closed = False
        self._reader = asyncio.ensure_future(self._read())

    @property
    def waiting(self) -> int:
        """Frames read and not yet taken."""
        return len(self._frames)

    async def start(self, last_event_id: int, window: int) -> None:
        request: dict[str, object] = {"type": "START_STREAM", "window_size": window}
        if last_event_id >= 0:
            request["last_ack_event_id"] = last_event_id
        await self._send(request)

    async def restart(self, last_event_id: int, window: int) -> None:
        """Continues after another id. Events that were on their way still come first."""
        await self._send({"type": "STOP_STREAM"})
        await self.start(last_event_id, window)

    async def acknowledge(self, event_id: int, window: int) -> None:
        await self._send({"type": "ACK", "ack_event_id": event_id, "window_size": window})

    async def next_frames(self, most: int, timeout_s: float) -> list[Frame]:
        """What has come, at least one frame; none when nothing came in time.

        Raises:
            Unavailable: the connection ended, or what came is no frame.
        """
        if not self._frames:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._news.wait()
            except TimeoutError:
                return []
        if not self._frames and self._closed:
            raise Unavailable("The node's event stream ended")
        texts = [self._frames.popleft() for _ in range(min(most, len(self._frames)))]
        self._bytes -= sum(map(len, texts))
        self._room.set()
        if not self._frames and not self._closed:
            self._news.clear()
        try:
            return [decode_frame(text) for text in texts]
        except msgspec.DecodeError as error:
            raise Unavailable(f"The node sent what is no frame: {error}") from error

    async def close(self) -> None:
        self._reader.cancel()
        try:
            await asyncio.gather(self._reader, return_exceptions=True)
        finally:  # also where the caller is cancelled meanwhile
            await self._socket.close()

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._frames.append(message.data)
                    self._news.set()
                    self._bytes += len(message.data)
                while self._bytes > MAX_BYTES_AHEAD:
                    self._room.clear()
                    await self._room.wait()
        finally:
            self._closed = True
            self._news.set()

    async def _send(self, request: dict[str, object]) -> None:
        try:
            await self._socket.send_str(msgspec.json.encode(request).decode())
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable("The node's event stream ended") from error


def _websocket_url(url: str) -> str:
    parts = urlsplit(url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    return urlunsplit((scheme, parts.netloc, parts.path + "/event_ws", "", ""))
