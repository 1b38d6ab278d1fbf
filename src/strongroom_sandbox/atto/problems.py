"""Error answers in the format of the node's framework."""

from http import HTTPStatus
from itertools import count
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from strongroom.core.clock import Clock, iso_instant

log = structlog.get_logger(__name__)

AnyRequest = Request[Any, Any, Any]


class Problem(Exception):
    """The request is answered with this status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Problems:
    """Writes error bodies, each with the next request id."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ids = count(1)

    def body(self, path: str, status: int, message: str) -> bytes:
        return msgspec.json.encode(
            {
                "timestamp": iso_instant(self._clock.now_ms()),
                "path": path,
                "status": status,
                "error": HTTPStatus(status).phrase,
                "requestId": f"{next(self._ids):08x}",
                "message": message,
            }
        )

    def on_problem(self, request: AnyRequest, problem: Problem) -> Response[bytes]:
        return self._response(request, problem.status, problem.message)

    def on_http_exception(self, request: AnyRequest, error: HTTPException) -> Response[bytes]:
        """Answers errors of the framework: unknown routes, methods, malformed parameters."""
        return self._response(request, error.status_code, error.detail)

    def on_error(self, request: AnyRequest, error: Exception) -> Response[bytes]:
        """Answers an unexpected error."""
        log.error("request failed", path=request.url.path, exc_info=error)
        return self._response(request, HTTPStatus.INTERNAL_SERVER_ERROR, str(error))

    def _response(self, request: AnyRequest, status: int, message: str) -> Response[bytes]:
        body = self.body(request.url.path, status, message)
        return Response(content=body, status_code=status, media_type="application/json")
