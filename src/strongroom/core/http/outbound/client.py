"""The HTTP client for nodes and other peers, with limits on their answers.

A node, a work server or a receiver of callbacks may be broken, hostile, or another program than expected. So the client limits
the size, time, headers and compression of every answer, and follows no redirect: a peer must not choose whom this process talks
to. It is built on aiohttp, which needs a fifth of the CPU time of httpx2 for a request.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver

from strongroom.core.http.outbound.connections import CappedConnector, SocketAddress
from strongroom.core.http.outbound.content import EncodingRefused, TooLarge, decoded
from strongroom.core.http.outbound.targets import AddressRefused

CONNECT_TIMEOUT_S = 5.0
ANSWER_S = 10.0
MAX_ANSWER_BYTES = 16 * 2**20
MAX_LINE_BYTES = 65_536
LINES_A_TURN = 32
"""After this many lines of one stream, other tasks run: a peer may send without a pause."""


class OutboundError(Exception):
    """There is no usable answer. The message names the kind of failure, but no address."""


class NotConnected(OutboundError):
    """No connection was made, so the peer received nothing."""


class TargetRefused(NotConnected):
    """The host leads where the caller's check does not let it."""


class NoAnswer(OutboundError):
    """The request may have arrived, but no complete answer came in time."""


class ExcessiveAnswer(NoAnswer):
    """The answer exceeds a limit, or has an encoding that was not asked for."""


class StreamRefused(OutboundError):
    """The peer answered a stream's request with another status than 200."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundResponse:
    """A complete answer with any status."""

    status: int
    headers: Mapping[str, str]
    """Header names are compared without regard to case."""
    content: bytes


class HttpClient:
    """Sends requests to peers. It opens connections when they are needed; the owner closes it.

    It ignores the environment's proxies, stores no cookies, follows no redirects, and notices dead peers.
    """

    def __init__(
        self,
        headers: Mapping[str, str] | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        check: Callable[[SocketAddress], None] | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        """`tls`, `check` and `resolver` are as in `CappedConnector`."""
        self._tls = tls
        self._headers = {"Accept-Encoding": "gzip", **(headers or {})}
        self._check = check
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self,
        method: str,
        url: str,
        *,
        data: bytes | Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = ANSWER_S,
        max_bytes: int = MAX_ANSWER_BYTES,
        reads_content: bool = True,
        cuts_content: bool = False,
    ) -> OutboundResponse:
        """Sends one request and returns the complete answer, of at most `max_bytes` after decompression, within `timeout_s`.

        Without `reads_content` the content is not read. With `cuts_content`, what is longer is cut instead of refused.

        Raises:
            NotConnected: the peer received nothing.
            NoAnswer: it is not known whether the peer carried out the request.
        """
        options: dict[str, Any] = {
            "data": data,
            "params": params,
            "headers": headers,
            "timeout": aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT_S),
            "allow_redirects": False,
        }
        with _translated_errors():
            async with asyncio.timeout(timeout_s), self._open().request(method, url, **options) as response:
                content = bytearray()
                if reads_content:
                    async for chunk in decoded(response, None if cuts_content else max_bytes):
                        content += chunk
                        if cuts_content and len(content) >= max_bytes:
                            break
                return OutboundResponse(
                    status=response.status, headers=response.headers, content=bytes(content[:max_bytes])
                )

    async def lines(
        self,
        url: str,
        *,
        data: bytes,
        headers: Mapping[str, str] | None = None,
        idle_s: float,
        max_line_bytes: int = MAX_LINE_BYTES,
    ) -> AsyncGenerator[bytes, None]:
        """The lines of the endless answer to a POST. If the peer is silent for `idle_s`, the stream ends with an error.

        Raises:
            StreamRefused: the status is not 200.
            NotConnected, NoAnswer: the stream did not open, broke, or was silent.
        """
        timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT_S, sock_read=idle_s)
        options: dict[str, Any] = {"data": data, "headers": headers, "allow_redirects": False}
        with _translated_errors():
            async with self._open().post(url, timeout=timeout, **options) as response:
                if response.status != HTTPStatus.OK:
                    raise StreamRefused(response.status)
                rest = b""
                async for chunk in decoded(response):
                    *whole, rest = (rest + chunk).split(b"\n")
                    for number, line in enumerate(whole, 1):
                        if line.strip():
                            yield line
                        if number % LINES_A_TURN == 0:
                            await asyncio.sleep(0)
                    if len(rest) > max_line_bytes:
                        raise ExcessiveAnswer("an endless line")
                if rest.strip():
                    yield rest

    async def open_websocket(
        self, url: str, *, heartbeat_s: float, max_frame_bytes: int, timeout_s: float = ANSWER_S
    ) -> aiohttp.ClientWebSocketResponse:
        """Opens a WebSocket without compression; the caller closes it.

        Raises:
            NotConnected, NoAnswer: it does not open.
        """
        with _translated_errors():
            async with asyncio.timeout(timeout_s):
                return await self._open().ws_connect(url, heartbeat=heartbeat_s, max_msg_size=max_frame_bytes)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=CappedConnector(self._tls, check=self._check, resolver=self._resolver),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=self._headers,
                auto_decompress=False,
                trace_configs=[_no_redirects()],
            )
        return self._session


class _RedirectRefused(aiohttp.ClientError):
    """The peer answered with a redirect."""


class _translated_errors:  # noqa: N801 - used like a function: `with _translated_errors():`
    """Turns aiohttp's errors into those of this module."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        match error:
            case aiohttp.ClientConnectorError() if _is_refused(error.os_error):
                raise TargetRefused("the address is not public") from error
            case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
                raise NotConnected(type(error).__name__) from error
            case TooLarge() | EncodingRefused():
                raise ExcessiveAnswer(str(error)) from error
            case aiohttp.ClientError() | TimeoutError() | OSError():
                raise NoAnswer(type(error).__name__.lstrip("_")) from error


def _no_redirects() -> aiohttp.TraceConfig:
    """Refuses redirects also in `ws_connect`, where aiohttp's API has no option for it."""

    async def refuse(
        _session: object, _context: SimpleNamespace, sent: aiohttp.TraceRequestRedirectParams
    ) -> None:
        sent.response.close()
        raise _RedirectRefused

    config = aiohttp.TraceConfig()
    config.on_request_redirect.append(refuse)
    return config


def _is_refused(error: OSError) -> bool:
    """Of several addresses each may have failed in its own way; aiohttp keeps their texts alone."""
    return isinstance(error, AddressRefused) or AddressRefused.TEXT in str(error)
