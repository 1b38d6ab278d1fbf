"""Errors in the original server's form: {timestamp, path, status, error, requestId, message}, and our stable `code`."""

import uuid
from http import HTTPStatus

import msgspec
from litestar.openapi.datastructures import ResponseSpec

from strongroom.core import errors
from strongroom.core.clock import Clock, iso_instant
from strongroom.core.http.errors import STATUSES as COMMON_STATUSES
from strongroom.core.http.errors import ErrorAnswers, Statuses
from strongroom.core.http.errors import status_of as status_in
from strongroom.core.http.requests.named import current_id
from strongroom.core.runtime.telemetry import Metrics

STATUSES: Statuses = {**COMMON_STATUSES, errors.Locked: 400}


def status_of(error: errors.StrongroomError) -> int:
    """The status of the error's class, or of its nearest parent class that has one."""
    return status_in(error, STATUSES)


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    timestamp: str
    path: str
    status: int
    error: str
    request_id: str
    message: str
    code: str
    approval_id: str | msgspec.UnsetType = msgspec.UNSET
    """Of a request that waits for approvals."""


def refusal(description: str) -> ResponseSpec:
    """An error's description for the OpenAPI document."""
    return ResponseSpec(ErrorBody, description=description, generate_examples=False)


def empty_refusal(description: str) -> ResponseSpec:
    """The description of an error that has no body."""
    return ResponseSpec(None, description=description)


class ErrorMapper(ErrorAnswers):
    """Makes the error bodies, with the time and an id of the request."""

    statuses = STATUSES

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        super().__init__("atto", metrics)
        self._clock = clock

    def body(self, path: str, status: int, message: str, code: str) -> ErrorBody:
        self.count(code)
        return ErrorBody(
            timestamp=iso_instant(self._clock.now_ms()),
            path=path,
            status=status,
            error=HTTPStatus(status).phrase,
            request_id=current_id() or uuid.uuid4().hex[:8],
            message=message,
            code=code,
        )

    def of(self, path: str, error: errors.StrongroomError) -> ErrorBody:
        body = self.body(path, status_of(error), error.message, error.instance_code)
        if isinstance(error, errors.ApprovalNeeded) and error.approval is not None:
            return msgspec.structs.replace(body, approval_id=error.approval)
        return body

    def words_of(self, error: Exception) -> str:
        if getattr(error, "status_code", HTTPStatus.BAD_REQUEST) != HTTPStatus.BAD_REQUEST:
            return super().words_of(error)
        if not getattr(error, "extra", None) and not getattr(error, "detail", ""):
            return "Failed to read HTTP message"
        return f"Failed to read HTTP message: {super().words_of(error)}"
