"""HTTP to the outside: one way to open a client. aiohttp costs a fifth of the CPU time of httpx2 per request."""

import socket
from collections.abc import Mapping

import aiohttp
from aiohappyeyeballs import AddrInfoType

CONNECT_TIMEOUT_S = 5.0
CONNECTIONS = 512

# A dead peer is noticed within half a minute, also on a stream that is rightly silent for hours; and no half of a
# request waits for the acknowledgement of the other.
OPTIONS = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
)


def open_session(headers: Mapping[str, str]) -> aiohttp.ClientSession:
    """A session that ignores the environment's proxies, follows no cookie and notices dead peers. Close it."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS, socket_factory=_keepalive_socket),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=headers,
    )


def _keepalive_socket(address: AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family=family, type=kind, proto=protocol)
    for level, option, value in OPTIONS:
        made.setsockopt(level, option, value)
    return made
