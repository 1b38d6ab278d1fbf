"""Connections to peers that notice dead peers and limit the size of headers and trailers."""

import asyncio
import functools
import socket
import ssl
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage
from aiohttp.streams import StreamReader

SocketAddress = tuple[Any, ...]
CONNECTIONS = 512
MAX_HEAD_BYTES = 65_536
MAX_FRAMING = 16
"""The most bytes received for each byte of content. A chunk of one byte, the smallest, takes six bytes."""

# Keepalive notices a dead peer within half a minute, also on a stream that may be silent for hours. Without TCP_NODELAY the
# second half of a request would wait for the acknowledgement of the first.
OPTIONS = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
)


class CappedConnector(aiohttp.TCPConnector):
    """aiohttp's connector with `_CappedHandler` for its connections.

    aiohttp has no public way to set it; tests/core/http/test_outbound.py fails if the private attribute changes.
    """

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        *,
        check: Callable[[SocketAddress], None] | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        """`tls`: how certificates of peers are checked; None: with the certificates that the system trusts.

        `check` raises an OSError where the address that is about to be connected is not wanted. `resolver` finds the
        addresses of names; None: aiohttp's own.
        """
        factory = functools.partial(_checked_socket, check) if check is not None else _keepalive_socket
        super().__init__(limit=CONNECTIONS, socket_factory=factory, ssl=tls or True, resolver=resolver)
        handler = functools.partial(_CappedHandler, loop=asyncio.get_running_loop())
        self._factory = cast("functools.partial[ResponseHandler]", handler)


class _HeadTooLarge(aiohttp.ClientError):
    """The peer sends more header, trailer or framing bytes than allowed."""


class _CappedHandler(ResponseHandler):
    """Ends a connection that brings 64 KiB without content, or much more framing than content.

    aiohttp's parser collects a header or trailer line in memory and checks its length only when it is complete. It ignores
    extensions of chunks of any length. Between messages every byte counts, also those of 1xx answers: only a final head
    resets the count.
    """

    _received = 0
    """Bytes received since the last final head."""
    _received_at_content = 0
    """The value of `_received` when content last came."""
    _content = 0

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        super().feed_data(data, size)
        if data[0].code >= HTTPStatus.OK:
            self._received = self._received_at_content = self._content = 0

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        payload = self._payload
        super().data_received(data)
        if self.upgraded:
            return  # the WebSocket reader has its own limits
        payload = self._payload or payload
        content: int = getattr(payload, "total_bytes", 0)
        if content != self._content:
            self._content, self._received_at_content = content, self._received
        silent = self._received - self._received_at_content
        framing = self._received - MAX_FRAMING * content
        if max(silent, framing) > MAX_HEAD_BYTES and self.transport is not None:
            error = _HeadTooLarge("the answer has no end of its head or trailer")
            if payload is not None:
                payload.set_exception(error)
            self.set_exception(error)
            self.transport.abort()


def _keepalive_socket(address: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family=family, type=kind, proto=protocol)
    for level, option, value in OPTIONS:
        made.setsockopt(level, option, value)
    return made


def _checked_socket(check: Callable[[SocketAddress], None], address: tuple[Any, ...]) -> socket.socket:
    """Checked here, where the address is the one that is connected, whatever a name leads to next time."""
    check(address[-1])
    return _keepalive_socket(address)
