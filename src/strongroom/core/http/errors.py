"""Maps error classes to HTTP statuses, and makes the error answers of an application.

A surface with its own error format derives a class from `ErrorAnswers`; other surfaces use it directly.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, SerializationException

from strongroom.core import errors
from strongroom.core.http.door import Refused
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.storage.errors import Duplicate

log = structlog.get_logger(__name__)

Statuses = Mapping[type[errors.StrongroomError], int]
STATUSES: Statuses = {
    errors.InvalidInput: 400,
    errors.Locked: 423,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.RateLimited: 429,
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
DEFECT = "Internal error; the log has more"


def status_of(error: errors.StrongroomError, statuses: Statuses = STATUSES) -> int:
    """The status of the error's class, or of its nearest parent class that has one."""
    return next(statuses[kind] for kind in type(error).__mro__ if kind in statuses)


class ErrorAnswers:
    """Turns errors into responses, `{"error": message, "code": code}`, and counts them."""

    statuses: Statuses = STATUSES

    def __init__(self, ledger: str, metrics: Metrics) -> None:
        self._ledger = ledger
        self._refusals = metrics.refusals

    def handlers(self) -> dict[Any, Any]:
        """The handlers for `Litestar(exception_handlers=...)`."""
        return {
            errors.StrongroomError: self._of_ours,
            HTTPException: self._of_framework,
            SerializationException: self._of_framework,
            Exception: self._of_defect,
        }

    def refused_at_door(self, path: str, refused: Refused) -> bytes:
        """The body of a refusal by the door; this is the surface's `Dialect`."""
        return msgspec.json.encode(self.body(path, refused.status, refused.message, refused.code))

    def body(self, path: str, status: int, message: str, code: str) -> Any:
        """The error document in the surface's format."""
        del path, status
        self.count(code)
        return {"error": message, "code": code}

    def count(self, code: str) -> None:
        self._refusals.labels(self._ledger, code).inc()

    def of(self, path: str, error: errors.StrongroomError) -> Any:
        """The error document of one of our errors."""
        return self.body(path, status_of(error, self.statuses), error.message, error.instance_code)

    def answer(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response[Any]:
        return Response(body, status_code=status, headers=headers, media_type="application/json")

    def words_of(self, error: Exception) -> str:
        """The framework's description of what is wrong with a request."""
        extra, detail = getattr(error, "extra", None), str(getattr(error, "detail", ""))
        if isinstance(extra, list) and extra:
            detail = "; ".join(f"{item.get('key', 'body')}: {item.get('message')}" for item in extra)
        return detail or "The request cannot be read"

    def _of_ours(self, request: Request[Any, Any, Any], error: errors.StrongroomError) -> Response[Any]:
        headers: dict[str, str] = {}
        if isinstance(error, errors.Unauthenticated):
            headers["WWW-Authenticate"] = "Bearer"
        if isinstance(error, errors.RateLimited):
            headers["Retry-After"] = str(error.retry_after_s)
        return self.answer(status_of(error, self.statuses), self.of(request.url.path, error), headers)

    def _of_framework(self, request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        status = getattr(error, "status_code", HTTPStatus.BAD_REQUEST)
        code = HTTPStatus(status).phrase.lower().replace(" ", "_")
        body = self.body(request.url.path, status, self.words_of(error), code)
        return self.answer(status, body, getattr(error, "headers", None))

    def _of_defect(self, request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        log.error("defect", path=request.url.path, error=type(error).__name__, exc_info=error)
        return self.answer(500, self.body(request.url.path, 500, DEFECT, "internal"))
