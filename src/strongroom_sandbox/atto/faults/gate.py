"""Applies faults in front of the whole application, which does not know about them."""

from http import HTTPStatus
from weakref import WeakSet

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from strongroom.core.clock import Clock
from strongroom.core.http.connections.shown import ClientConnection, connection_of
from strongroom_sandbox.atto.faults.connection import abort
from strongroom_sandbox.atto.faults.faults import Faults
from strongroom_sandbox.atto.problems import Problems

CONTROL_PREFIX = "/_"
"""Paths below this prefix belong to the sandbox itself and are exempt from faults."""


async def _swallow(_message: Message) -> None:
    """Sends nothing."""


class FaultGate:
    """Drops, delays and refuses. `effect_path` is the prefix of the `POST`s that change something."""

    def __init__(self, *, faults: Faults, problems: Problems, clock: Clock, effect_path: str) -> None:
        self._faults = faults
        self._problems = problems
        self._clock = clock
        self._effect_path = effect_path
        self._connections: WeakSet[ClientConnection] = WeakSet()
        self._down_until_s = 0.0

    def drop_connections(self, down_ms: int) -> None:
        """Resets every connection, and for `down_ms` each new one at its first request."""
        self._down_until_s = self._clock.monotonic_s() + down_ms / 1000
        for connection in tuple(self._connections):
            connection.abort()

    def in_front_of(self, application: ASGIApp) -> ASGIApp:
        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != ScopeType.HTTP:
                await application(scope, receive, send)
                return
            if (connection := connection_of(scope)) is not None:
                self._connections.add(connection)
            if scope["path"].startswith(CONTROL_PREFIX):
                await application(scope, receive, send)
            else:
                await self._answer(application, scope, receive, send)

        return guarded

    async def _answer(self, application: ASGIApp, scope: HTTPScope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        has_effect = scope["method"] == "POST" and path.startswith(self._effect_path)
        if self._is_down() or (has_effect and self._faults.take_dropped_request()):
            await abort(scope, receive)
            return
        if self._faults.stall_ms:
            await self._clock.sleep(self._faults.stall_ms / 1000)
        if status := self._faults.take_refusal(path):
            await self._refuse(path, status, send)
        elif has_effect and self._faults.take_hung_reply():
            while (await receive())["type"] != "http.disconnect":
                pass
        elif has_effect and self._faults.take_dropped_reply():
            await application(scope, receive, _swallow)
            await abort(scope, receive)
        else:
            await application(scope, receive, send)

    def _is_down(self) -> bool:
        return self._clock.monotonic_s() < self._down_until_s

    async def _refuse(self, path: str, status: int, send: Send) -> None:
        body = self._problems.body(path, status, HTTPStatus(status).description)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})
