"""Errors in the original's form: {timestamp, path, status, error, requestId, message}, and our stable `code`."""

import uuid
from http import HTTPStatus

import msgspec
from litestar.openapi.datastructures import ResponseSpec

from strongroom.core import errors
from strongroom.core.clock import Clock, iso_instant
from strongroom.core.http.errors import STATUSES as OF_HOUSE
from strongroom.core.http.errors import ErrorAnswers, Statuses
from strongroom.core.http.errors import status_of as status_in
from strongroom.core.runtime.telemetry import Metrics

STATUSES: Statuses = {**OF_HOUSE, errors.Locked: 400}


def status_of(error: errors.StrongroomError) -> int:
    """The status of the nearest class in the tree."""
    return status_in(error, STATUSES)


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


class ErrorMapper(ErrorAnswers):
    """Knows the clock."""

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
            request_id=uuid.uuid4().hex[:8],
            message=message,
            code=code,
        )

    def words_of(self, error: Exception) -> str:
        if getattr(error, "status_code", HTTPStatus.BAD_REQUEST) != HTTPStatus.BAD_REQUEST:
            return super().words_of(error)
        if not getattr(error, "extra", None) and not getattr(error, "detail", ""):
            return "Failed to read HTTP message"
        return f"Failed to read HTTP message: {super().words_of(error)}"
