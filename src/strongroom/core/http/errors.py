"""The one table of errors: which status each class of the tree is answered with, and the handlers of an application.

A surface with words of its own derives from `ErrorAnswers`; one without uses it as it is.
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
    """The status of the nearest class in the tree."""
    return next(statuses[kind] for kind in type(error).__mro__ if kind in statuses)


class ErrorAnswers:
    """Makes responses of errors, and counts them: `{"error": message, "code": code}`."""

    statuses: Statuses = STATUSES

    def __init__(self, ledger: str, metrics: Metrics) -> None:
        self._ledger = ledger
        self._refusals = metrics.refusals

    def handlers(self) -> dict[Any, Any]:
        """For `Litestar(exception_handlers=...)`."""
        return {
            errors.StrongroomError: self._of_ours,
            HTTPException: self._of_framework,
            SerializationException: self._of_framework,
            Exception: self._of_defect,
        }

    def refused_at_door(self, path: str, refused: Refused) -> bytes:
        """The body of what is refused before any route is found: the `Dialect` of a surface."""
        return msgspec.json.encode(self.body(path, refused.status, refused.message, refused.code))

    def body(self, path: str, status: int, message: str, code: str) -> Any:
        """The document of an error, in the surface's form."""
        del path, status
        self.count(code)
        return {"error": message, "code": code}

    def count(self, code: str) -> None:
        self._refusals.labels(self._ledger, code).inc()

    def of(self, path: str, error: errors.StrongroomError) -> Any:
        """The document of an error of the tree."""
        return self.body(path, status_of(error, self.statuses), error.message, error.instance_code)

    def answer(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response[Any]:
        return Response(body, status_code=status, headers=headers, media_type="application/json")

    def words_of(self, error: Exception) -> str:
        """What the framework found wrong with a request."""
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
