"""The clients' connections, to cut them in ways that ASGI has no word for."""

from collections.abc import Mapping
from typing import Any, Protocol, cast
from weakref import WeakSet

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from strongroom.core.clock import Clock

CONTROL_PREFIX = "/_"
"""Paths under it are the sandbox's own and work whatever is broken."""
_TRANSPORT = "strongroom.transport"


class Transport(Protocol):
    """What is used of `asyncio.Transport`."""

    def abort(self) -> None: ...


class Connections:
    """Knows every WebSocket that is open, and lets none in while the node is down."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: WeakSet[Transport] = WeakSet()
        self._down_until_s = 0.0

    def drop(self, down_ms: int = 0) -> int:
        """Resets every WebSocket, and for `down_ms` each new one; returns how many there were."""
        self._down_until_s = self._clock.monotonic_s() + down_ms / 1000
        dropped = list(self._open)
        for transport in dropped:
            transport.abort()
        return len(dropped)

    @staticmethod
    def abort(scope: Mapping[str, Any]) -> None:
        cast("Transport", scope[_TRANSPORT]).abort()

    def in_front_of(self, application: ASGIApp) -> ASGIApp:
        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope.get("path", "").startswith(CONTROL_PREFIX):
                await application(scope, receive, send)
                return
            transport = _transport(send)
            cast("dict[str, object]", scope)[_TRANSPORT] = transport
            if self._clock.monotonic_s() < self._down_until_s:
                transport.abort()
                return
            if scope["type"] == ScopeType.WEBSOCKET:
                self._open.add(transport)
            await application(scope, receive, send)

        return guarded


def _transport(send: Send) -> Transport:
    """Under uvicorn `send` is a method of the object that owns the connection."""
    return cast("Transport", getattr(send, "__self__").transport)  # noqa: B009 - ASGI's type of send does not show it
