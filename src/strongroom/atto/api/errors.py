"""Errors in the original's form: {timestamp, path, status, error, requestId, message}, and our stable `code`."""

import uuid
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, SerializationException
from litestar.openapi.datastructures import ResponseSpec

from strongroom.core import errors
from strongroom.core.clock import Clock, iso_instant
from strongroom.core.http.door import Refused
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.storage.errors import Duplicate

log = structlog.get_logger(__name__)

STATUSES: dict[type[errors.StrongroomError], int] = {
    errors.InvalidInput: 400,
    errors.Locked: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.IdempotencyMismatch: 422,
    errors.LedgerRejected: 422,
    Duplicate: 409,
    errors.Unavailable: 503,
    errors.VaultError: 503,
    errors.LeaseLost: 503,
    errors.OutcomeUnknown: 504,
    errors.StrongroomError: 500,
}


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    timestamp: str
    path: str
    status: int
    error: str
    request_id: str
    message: str
    code: str


def refusal(description: str) -> ResponseSpec:
    """How an error is described in the OpenAPI document."""
    return ResponseSpec(ErrorBody, description=description, generate_examples=False)


def empty_refusal(description: str) -> ResponseSpec:
    """The same for one without a body."""
    return ResponseSpec(None, description=description)


class ErrorMapper:
    """Makes responses of errors; knows the clock and counts."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._clock = clock
        self._refusals = metrics.refusals

    def handlers(self) -> dict[Any, Any]:
        return {
            errors.StrongroomError: self._of_ours,
            HTTPException: self._of_litestar,
            SerializationException: self._of_litestar,
            Exception: self._of_defect,
        }

    def body(self, path: str, status: int, message: str, code: str) -> ErrorBody:
        self._refusals.labels("atto", code).inc()
        return ErrorBody(
            timestamp=iso_instant(self._clock.now_ms()),
            path=path,
            status=status,
            error=HTTPStatus(status).phrase,
            request_id=uuid.uuid4().hex[:8],
            message=message,
            code=code,
        )

    def of(self, path: str, error: errors.StrongroomError) -> ErrorBody:
        return self.body(path, status_of(error), error.message, error.instance_code)

    def refused_at_door(self, path: str, refused: Refused) -> bytes:
        return msgspec.json.encode(self.body(path, refused.status, refused.message, refused.code))

    def _of_ours(self, request: Request[Any, Any, Any], error: errors.StrongroomError) -> Response[ErrorBody]:
        body = self.of(request.url.path, error)
        headers = {"WWW-Authenticate": "Bearer"} if body.status == HTTPStatus.UNAUTHORIZED else None
        return Response(body, status_code=body.status, headers=headers, media_type="application/json")

    def _of_litestar(self, request: Request[Any, Any, Any], error: HTTPException) -> Response[ErrorBody]:
        status = getattr(error, "status_code", 400)
        body = self.body(
            request.url.path, status, _words(error), HTTPStatus(status).phrase.lower().replace(" ", "_")
        )
        headers = getattr(error, "headers", None)
        return Response(body, status_code=status, headers=headers, media_type="application/json")

    def _of_defect(self, request: Request[Any, Any, Any], error: Exception) -> Response[ErrorBody]:
        log.error("defect", path=request.url.path, error=type(error).__name__, exc_info=error)
        body = self.body(request.url.path, 500, "Internal error; the log has more", "internal")
        return Response(body, status_code=500, media_type="application/json")


def status_of(error: errors.StrongroomError) -> int:
    """The status of the nearest class in the tree."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def _words(error: HTTPException | SerializationException) -> str:
    extra, detail = getattr(error, "extra", None), str(getattr(error, "detail", ""))
    if isinstance(extra, list) and extra:
        detail = "; ".join(f"{item.get('key', 'body')}: {item.get('message')}" for item in extra)
    if getattr(error, "status_code", HTTPStatus.BAD_REQUEST) != HTTPStatus.BAD_REQUEST:
        return detail
    return f"Failed to read HTTP message: {detail}" if detail else "Failed to read HTTP message"
