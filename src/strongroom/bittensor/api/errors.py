"""Errors in FastAPI's form, as the original had them: {detail}, a token's {error}; and our stable `code`."""

import re
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response

from strongroom.bittensor.gateway import InvalidNodeResponse
from strongroom.core import errors
from strongroom.core.http.door import Refused
from strongroom.core.http.errors import STATUSES as OF_HOUSE
from strongroom.core.http.errors import ErrorAnswers, Statuses
from strongroom.core.http.errors import status_of as status_in
from strongroom.core.runtime.telemetry import Metrics

UNKNOWN = "unknown"
TRANSACTION = re.compile(r"^transaction_(?!data)")
STEP = re.compile(r"[^.\[\]]+")
"""Of a path such as `weights[3]`; of an object's member `[...]` it does not say which, so that the path ends there."""
HEALTH = "/health"
STATUSES: Statuses = {**OF_HOUSE, InvalidNodeResponse: 502}


def status_of(error: errors.StrongroomError) -> int:
    """Returns the status of the nearest class in the tree of errors."""
    return status_in(error, STATUSES)


def refused_at_door(_path: str, refused: Refused) -> bytes:
    """Makes the body of a refusal before any route is found."""
    return msgspec.json.encode({"detail": refused.message, "code": refused.code})


def error_body(error: errors.StrongroomError) -> dict[str, Any]:
    field = "error" if isinstance(error, errors.Unauthenticated) else "detail"
    body: dict[str, Any] = {field: error.message, "code": error.instance_code}
    if isinstance(error, errors.ApprovalNeeded) and error.approval is not None:
        body["approval_id"] = error.approval
    if isinstance(error, errors.Unavailable):
        body["submitted"] = False
    elif isinstance(error, errors.OutcomeUnknown):
        body["submitted"] = UNKNOWN
    return body


def before_opening(path: str, refused: Refused) -> bytes:
    """Makes the body of every answer until the database answers for the first time; it is the same when it is away later."""
    if path == HEALTH:
        return msgspec.json.encode({"status": "down", "detail": "The database does not answer"})
    return msgspec.json.encode({"detail": refused.message, "code": refused.code, "submitted": False})


class ErrorMapper(ErrorAnswers):
    """Maps errors to answers. A body that cannot be read gets a list of faults, as FastAPI does it."""

    statuses = STATUSES

    def __init__(self, metrics: Metrics) -> None:
        super().__init__("bittensor", metrics)

    def of(self, path: str, error: errors.StrongroomError) -> dict[str, Any]:
        del path
        self.count(error.instance_code)
        return error_body(error)

    def body(self, path: str, status: int, message: str, code: str) -> dict[str, Any]:
        del path, status
        self.count(code)
        return {"detail": message, "code": code}

    def words_of(self, error: Exception) -> str:
        return HTTPStatus(getattr(error, "status_code", HTTPStatus.BAD_REQUEST)).phrase

    def _of_framework(self, request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        """Answers what the framework finds wrong; for a body, 422 and a list, as FastAPI does."""
        status = getattr(error, "status_code", HTTPStatus.BAD_REQUEST)
        if status not in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}:
            return super()._of_framework(request, error)
        self.count("invalid_request")
        body = {"detail": _faults(error), "code": "invalid_request"}
        return self.answer(HTTPStatus.UNPROCESSABLE_ENTITY, body)


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
