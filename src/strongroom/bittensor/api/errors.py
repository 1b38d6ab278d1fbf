"""Errors in FastAPI's form, as the original had them: {detail}, a token's {error}; and our stable `code`."""

import re
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, SerializationException

from strongroom.bittensor.gateway import InvalidNodeResponse
from strongroom.core import errors
from strongroom.core.http.door import Refused
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.storage.errors import Duplicate

log = structlog.get_logger(__name__)

UNKNOWN = "unknown"
TRANSACTION = re.compile(r"^transaction_(?!data)")
STEP = re.compile(r"[^.\[\]]+")
"""Of a path such as `weights[3]`; of an object's member `[...]` it does not say which, so that the path ends there."""
HEALTH = "/health"
STATUSES: dict[type[errors.StrongroomError], int] = {
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
    InvalidNodeResponse: 502,
    errors.VaultError: 503,
    errors.LeaseLost: 503,
    errors.OutcomeUnknown: 504,
    errors.StrongroomError: 500,
}


def status_of(error: errors.StrongroomError) -> int:
    """The status of the nearest class in the tree."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def refused_at_door(_path: str, refused: Refused) -> bytes:
    """The body of what is refused before any route is found."""
    return msgspec.json.encode({"detail": refused.message, "code": refused.code})


def error_body(error: errors.StrongroomError) -> dict[str, Any]:
    field = "error" if isinstance(error, errors.Unauthenticated) else "detail"
    body: dict[str, Any] = {field: error.message, "code": error.instance_code}
    if isinstance(error, errors.Unavailable):
        body["submitted"] = False
    elif isinstance(error, errors.OutcomeUnknown):
        body["submitted"] = UNKNOWN
    return body


def before_opening(path: str, refused: Refused) -> bytes:
    """The body of every answer until the database is there: as while it is away later."""
    if path == HEALTH:
        return msgspec.json.encode({"status": "down", "detail": "The database does not answer"})
    return msgspec.json.encode({"detail": refused.message, "code": refused.code, "submitted": False})


class ErrorMapper:
    """Makes responses of errors, and counts them."""

    def __init__(self, metrics: Metrics) -> None:
        self._refusals = metrics.refusals

    def handlers(self) -> dict[Any, Any]:
        return {
            errors.StrongroomError: self._of_ours,
            HTTPException: self._of_litestar,
            SerializationException: self._of_litestar,
            Exception: self._of_defect,
        }

    def _of_ours(self, _request: Request[Any, Any, Any], error: errors.StrongroomError) -> Response[Any]:
        headers: dict[str, str] = {}
        if isinstance(error, errors.Unauthenticated):
            headers["WWW-Authenticate"] = "Bearer"
        if isinstance(error, errors.RateLimited):
            headers["Retry-After"] = str(error.retry_after_s)
        return self._answer(status_of(error), error_body(error), headers)

    def _of_litestar(self, _request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        """What the framework finds wrong: of a body 422 and a list, as FastAPI has it."""
        status = getattr(error, "status_code", HTTPStatus.BAD_REQUEST)
        if status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}:
            body = {"detail": _faults(error), "code": "invalid_request"}
            return self._answer(HTTPStatus.UNPROCESSABLE_ENTITY, body, {})
        phrase = HTTPStatus(status).phrase
        body = {"detail": phrase, "code": phrase.lower().replace(" ", "_")}
        return self._answer(status, body, getattr(error, "headers", None) or {})

    def _of_defect(self, request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        log.error("defect", path=request.url.path, error=type(error).__name__, exc_info=error)
        return self._answer(500, {"detail": "Internal error; the log has more", "code": "internal"}, {})

    def _answer(self, status: int, body: dict[str, Any], headers: dict[str, str]) -> Response[Any]:
        self._refusals.labels("bittensor", body["code"]).inc()
        return Response(body, status_code=status, headers=headers, media_type="application/json")


def _faults(error: Exception) -> list[dict[str, Any]]:
    extra, detail = getattr(error, "extra", None), str(getattr(error, "detail", ""))
    if isinstance(extra, list) and extra:
        return [
            {"type": "value_error", "loc": _place(item), "msg": str(item.get("message", ""))}
            for item in extra
        ]
    return [{"type": "json_invalid", "loc": ["body"], "msg": detail or "The body is not valid JSON"}]


def _place(item: dict[str, Any]) -> list[str | int]:
    """`data` is the whole body: the parameter of our own function. The framework drops each `data.` of a path."""
    key, source = str(item.get("key") or "data"), str(item.get("source", "body"))
    if key == "data":
        return [source]
    key = TRANSACTION.sub("transaction_data.", key)
    return [source, *(int(step) if step.isdigit() else step for step in STEP.findall(key))]
