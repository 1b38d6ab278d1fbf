"""The full node as the sync sees it: its settings, pages of events, and the stream of events."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import msgspec

from strongroom.core.errors import Unavailable
from strongroom.core.outbound import open_session
from strongroom.hathor.gateway import NodeVersion
from strongroom.hathor.sync.events import Frame, Page, decode_frame, decode_page

REQUEST_TIMEOUT_S = 10.0
PING_S = 5.0
"""A connection whose pong does not come within half of it is closed."""
MAX_FRAME_BYTES = 16 * 2**20
PAGE_SIZE = 1_000
"""The most that a node gives."""


class HttpEventNode:
    """A node over HTTP and WebSocket. `url` is the base of its API, for example `https://host/v1a/`."""

    def __init__(self, url: str, ws_url: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._ws_url = ws_url or _websocket_url(self._url)
        self._session: aiohttp.ClientSession | None = None

    async def version(self) -> NodeVersion:
        """Raises: Unavailable."""
        try:
            return msgspec.json.decode(await self._get("/version"), type=NodeVersion)
        except msgspec.DecodeError as error:
            raise Unavailable(f"The node's version is not understood: {error}") from error

    async def page(self, after_id: int) -> Page:
        """At most `PAGE_SIZE` events after an id (-1: from the first). Raises: Unavailable."""
        after = {} if after_id < 0 else {"last_ack_event_id": str(after_id)}
        try:
            return decode_page(await self._get("/event", {"size": str(PAGE_SIZE), **after}))
        except msgspec.DecodeError as error:
            raise Unavailable(f"The node's page of events is not understood: {error}") from error

    @asynccontextmanager
    async def stream(self) -> AsyncGenerator["WebSocketStream"]:
        """Opens the event stream. Raises: Unavailable."""
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                socket = await self._open().ws_connect(
                    self._ws_url, heartbeat=PING_S, max_msg_size=MAX_FRAME_BYTES
                )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unavailable(f"The node's event stream does not open ({type(error).__name__})") from error
        stream = WebSocketStream(socket)
        try:
            yield stream
        finally:
            await stream.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = open_session({})
        return self._session

    async def _get(self, path: str, query: dict[str, str] | None = None) -> bytes:
        try:
            async with (
                asyncio.timeout(REQUEST_TIMEOUT_S),
                self._open().get(self._url + path, params=query) as response,
            ):
                body = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unavailable(f"The node does not answer ({type(error).__name__})") from error
        if response.status != 200:  # noqa: PLR2004 - HTTP's OK
            raise Unavailable(f"The node answers {response.status} to {path}")
        return body


class WebSocketStream:
    """Reads ahead, so that a batch is whatever has come while the one before it was applied."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._frames: deque[str] = deque()
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
        if not self._frames and not self._closed:
            self._news.clear()
        try:
            return [decode_frame(text) for text in texts]
        except msgspec.DecodeError as error:
            raise Unavailable(f"The node sent what is no frame: {error}") from error

    async def close(self) -> None:
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        await self._socket.close()

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._frames.append(message.data)
                    self._news.set()
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
