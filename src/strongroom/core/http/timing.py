"""Measures the duration of HTTP requests by method, route and status, in the metric that Spring uses."""

from time import perf_counter
from typing import Any, cast

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import Histogram

from strongroom.core.runtime.telemetry import Metrics

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "OTHER"
"""The label for any other method, so that a client that invents methods does not fill the memory."""
NO_ROUTE = "unknown"
OUTCOMES = ("UNKNOWN", "INFORMATIONAL", "SUCCESS", "REDIRECTION", "CLIENT_ERROR", "SERVER_ERROR")
"""By the status in hundreds, in Spring's words."""
SWITCHED = 101
REFUSED = 403
"""A server answers with this status if the application closes a WebSocket before accepting it."""


class TimedApplication:
    """Measures the requests of an application. `route` is its only route, unless it is a Litestar application with routes."""

    def __init__(
        self, application: ASGIApp, metrics: Metrics, route: str = NO_ROUTE, ledger: str = ""
    ) -> None:
        self._application = application
        self._requests = metrics.http_requests
        self._route = route
        self._ledger = ledger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._route != NO_ROUTE:
            cast("dict[str, Any]", scope)["path_template"] = (
                self._route
            )  # for whoever looks at the scope afterwards
        await _timed(self._requests, self._application, scope, receive, send, self._route, self._ledger)


async def _timed(
    requests: Histogram,
    application: ASGIApp,
    scope: Scope,
    receive: Receive,
    send: Send,
    route: str,
    ledger: str,
) -> None:
    """Measures one request. Of a WebSocket only the handshake is measured, because the client decides how long it stays open."""
    started_s = perf_counter()
    status = 500
    is_socket = scope["type"] == ScopeType.WEBSOCKET
    is_open = True

    def observe() -> None:
        nonlocal is_open
        if is_open:
            is_open = False
            found: Any = scope
            method = found.get("method", "GET")
            known = method if method in METHODS else OTHER
            labels = (ledger, known, found.get("path_template", route), status, OUTCOMES[status // 100])
            requests.labels(*labels).observe(perf_counter() - started_s)

    async def pass_on(message: Message) -> None:
        nonlocal status
        kind: str = message["type"]
        if kind.endswith("response.start"):
            status = message["status"]  # type: ignore[typeddict-item]
        elif kind == "websocket.accept":
            status = SWITCHED
            observe()
        elif kind == "websocket.close" and is_open:
            status = REFUSED
        await send(message)

    try:
        await application(scope, receive, pass_on)
    finally:
        if not is_socket or status != SWITCHED:
            observe()
