"""A span for each request, where spans are collected."""

from typing import Any

from strongroom.core.environment import Environment
from strongroom.core.http.requests.access_log import MAX_METHOD, NO_ROUTE
from strongroom.core.http.requests.ids import parent_span_of
from strongroom.core.http.requests.named import request_in
from strongroom.core.runtime.traces import TraceContext, Traces

VARIABLE = "STRONGROOM_TRACES_URL"
SERVER_ERROR = 500


def read_traces_url(environment: Environment) -> str | None:
    """The collector's address; None: nothing is traced."""
    url = environment.base_url(VARIABLE)
    if url is not None:
        try:
            import opentelemetry.sdk  # noqa: F401, PLC0415 - only who collects traces has it
        except ModuleNotFoundError:
            environment.mistake(f"{VARIABLE} needs what the extra strongroom[traces] installs")
            return None
    return url


class TracedRequests:
    """ASGI: inside `NamedRequests`. The span of a WebSocket ends when its connection ends."""

    def __init__(self, application: Any, surface: str, traces: Traces) -> None:
        self._application = application
        self._surface = surface
        self._traces = traces

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = request_in(scope)
        if request is None:
            await self._application(scope, receive, send)
            return
        within = TraceContext(request_id=request.id, parent_id=parent_span_of(scope["headers"]), serves=True)
        span = self._traces.begin("request", within)
        request.span_id = span.id
        status = 0

        async def pass_on(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._application(scope, receive, pass_on)
        finally:
            method, route = scope.get("method", "GET")[:MAX_METHOD], scope.get("path_template", NO_ROUTE)
            attributes: dict[str, str | int] = {
                "strongroom.surface": self._surface,
                "strongroom.request_id": request.id,
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
            }
            span.end(f"{method} {route}", attributes, failed=status >= SERVER_ERROR)
