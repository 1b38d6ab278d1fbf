"""The access log: one line for each request, with its route and never its path, query or headers, which may have secrets."""

import enum
from time import perf_counter
from typing import Any, Final

import structlog

from strongroom.core.environment import Environment
from strongroom.core.http.requests.named import request_in

log = structlog.get_logger(__name__)

VARIABLE: Final = "STRONGROOM_ACCESS_LOG"
NO_ROUTE: Final = "unknown"
SWITCHED: Final = 101
REFUSED: Final = 403
MAX_METHOD: Final = 16


class AccessLogged(enum.StrEnum):
    """Which requests have a line."""

    OFF = "off"
    ON = "on"
    """Those of all surfaces but health and metrics."""
    ALL = "all"


def read_access_log(environment: Environment) -> AccessLogged:
    text = environment.text(VARIABLE, AccessLogged.ON)
    try:
        return AccessLogged(text)
    except ValueError:
        environment.mistake(f"{VARIABLE} must be off, on or all, not {text!r}")
        return AccessLogged.ON


class AccessLog:
    """ASGI: inside `NamedRequests`, around everything else of a surface. A WebSocket has its line when its handshake is answered."""

    def __init__(self, application: Any, surface: str) -> None:
        self._application = application
        self._surface = surface

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        started_s = perf_counter()
        status, is_open = 500, True

        def note() -> None:
            nonlocal is_open
            if is_open:
                is_open = False
                self._write(scope, status, perf_counter() - started_s)

        async def pass_on(message: Any) -> None:
            nonlocal status
            kind: str = message["type"]
            if kind.endswith("response.start"):
                status = message["status"]
            elif kind == "websocket.accept":
                status = SWITCHED
                note()
            elif kind == "websocket.close" and is_open:
                status = REFUSED
            await send(message)

        try:
            await self._application(scope, receive, pass_on)
        finally:
            note()

    def _write(self, scope: Any, status: int, seconds: float) -> None:
        request = request_in(scope)
        log.info(
            "request",
            surface=self._surface,
            method=scope.get("method", "GET")[:MAX_METHOD],
            route=scope.get("path_template", NO_ROUTE),
            status=status,
            duration_ms=round(seconds * 1000, 1),
            principal=None if request is None else request.principal,
            request_id=None if request is None else request.id,
        )
