"""Connections to peers outside: dead peers are noticed, and a head or a trailer has an end."""

import asyncio
import functools
import socket
from http import HTTPStatus
from typing import Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage
from aiohttp.streams import StreamReader

CONNECTIONS = 512
MAX_HEAD_BYTES = 65_536
MAX_FRAMING = 16
"""Bytes received for each of content. A chunk of one byte, the smallest, takes six."""

# A dead peer is noticed within half a minute, also on a stream that is rightly silent for hours; and no half of a
# request waits for the acknowledgement of the other.
OPTIONS = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
)


class CappedConnector(aiohttp.TCPConnector):
    """aiohttp's connector with `_CappedHandler` for its connections.

    aiohttp offers no public place for it; tests/core/http/test_outbound.py fails if the attribute loses its meaning.
    """

    def __init__(self) -> None:
        super().__init__(limit=CONNECTIONS, socket_factory=_keepalive_socket)
        factory = functools.partial(_CappedHandler, loop=asyncio.get_running_loop())
        self._factory = cast("functools.partial[ResponseHandler]", factory)


class _HeadTooLarge(aiohttp.ClientError):
    """The peer sends and sends, and none of it is content."""


class _CappedHandler(ResponseHandler):
    """Ends a connection on which 64 KiB come without one byte of content, or much more around the content than in it.

    aiohttp's parser checks the length of a header line when the line is whole, and collects it until then; the same
    goes for trailers. It drops the extensions of chunks, however long. Between messages every byte counts, 1xx
    answers included: only a final head starts the count anew.
    """

    _received = 0
    """Bytes since the last final head."""
    _received_at_content = 0
    """Of them, those until content came last."""
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
            return  # the reader of frames has limits of its own
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
