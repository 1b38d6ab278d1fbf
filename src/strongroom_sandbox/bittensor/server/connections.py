"""Keeps the clients' connections, and cuts them in ways that ASGI does not offer."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from strongroom.core.clock import Clock
from strongroom.core.http.connections.shown import ClientConnection, connection_of

CONTROL_PREFIX = "/_"
"""Paths that begin with this are the sandbox's own, and no fault concerns them."""


class Connections:
    """Knows every open WebSocket, and admits none while the node is down."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: set[ClientConnection] = set()
        self._down_until_s = 0.0

    def drop(self, down_ms: int = 0) -> int:
        """Resets every WebSocket, and for `down_ms` each new one; returns how many there were."""
        self._down_until_s = self._clock.monotonic_s() + down_ms / 1000
        dropped = list(self._open)
        for connection in dropped:
            connection.abort()
        return len(dropped)

    @staticmethod
    def abort(scope: Mapping[str, Any]) -> None:
        _connection(scope).abort()

    def in_front_of(self, application: ASGIApp) -> ASGIApp:
        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope.get("path", "").startswith(CONTROL_PREFIX):
                await application(scope, receive, send)
            elif self._clock.monotonic_s() < self._down_until_s:
                _connection(scope).abort()
            elif scope["type"] == ScopeType.WEBSOCKET:
                with self._noted(_connection(scope)):
                    await application(scope, receive, send)
            else:
                await application(scope, receive, send)

        return guarded

    @contextmanager
    def _noted(self, connection: ClientConnection) -> Iterator[None]:
        self._open.add(connection)
        try:
            yield
        finally:
            self._open.discard(connection)


def _connection(scope: Mapping[str, Any]) -> ClientConnection:
    connection = connection_of(scope)
    if connection is None:
        raise RuntimeError("The local node is served by the service's own listener only")
    return connection
