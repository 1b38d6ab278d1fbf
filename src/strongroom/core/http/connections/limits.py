"""The limits on one connection, on one peer and on all connections. docs/operations.md describes the variables."""

from dataclasses import dataclass

from strongroom.core.environment import Environment
from strongroom.core.http.forwarded import TrustedProxies, parse_proxies

MAX_HEAD = 64 * 1024
"""The most bytes of a request's line and headers, and of the framing of a chunked body."""
MAX_HEADERS = 256

NOBODY = TrustedProxies()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """The limits on connections."""

    max_connections: int = 24_000
    """The most open connections of all peers together."""
    max_per_peer: int = 256
    head_s: float = 30.0
    """The time for a request's head, from its first byte or, on a new connection, from the connection's start."""
    body_s: float = 30.0
    """The time from the head to the last byte of the body, without the time in which the service does not read."""
    unread_s: float = 30.0
    """A peer that reads almost nothing of an answer for this long is disconnected."""
    idle_s: float = 75.0
    """The time between an answer and the next request."""
    messages_a_minute: int = 600
    """The frames that one WebSocket may send in a minute, including pings, or at once."""
    drain_s: float = 0.0
    """The time in which a process that is told to end still takes requests, so that proxies learn to send it none."""
    proxies: TrustedProxies = NOBODY
    """Proxies, which carry many clients and so are not limited as one peer."""


def read_connection_limits(environment: Environment) -> ConnectionLimits:
    usual = ConnectionLimits()

    def seconds(name: str, default: float) -> float:
        return environment.integer(name, int(default), low=1, high=86_400)

    return ConnectionLimits(
        max_connections=environment.integer("STRONGROOM_CONNECTIONS", usual.max_connections, low=16),
        max_per_peer=environment.integer("STRONGROOM_CONNECTIONS_A_PEER", usual.max_per_peer, low=1),
        head_s=seconds("STRONGROOM_HEAD_TIMEOUT_S", usual.head_s),
        body_s=seconds("STRONGROOM_BODY_TIMEOUT_S", usual.body_s),
        unread_s=seconds("STRONGROOM_UNREAD_TIMEOUT_S", usual.unread_s),
        idle_s=seconds("STRONGROOM_IDLE_TIMEOUT_S", usual.idle_s),
        messages_a_minute=environment.integer(
            "STRONGROOM_SOCKET_MESSAGES_A_MINUTE", usual.messages_a_minute, low=1
        ),
        drain_s=environment.integer("STRONGROOM_DRAIN_S", int(usual.drain_s), low=0, high=300),
        proxies=environment.parsed(
            "STRONGROOM_TRUSTED_PROXIES",
            environment.text("STRONGROOM_TRUSTED_PROXIES", "0"),
            parse_proxies,
            NOBODY,
        ),
    )
