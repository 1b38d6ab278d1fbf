"""Errors as RFC 9457 has them: {type, title, status, detail}, our stable `code` and the request's id."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Response

from strongroom.admin.api.wire import Change
from strongroom.core import errors
from strongroom.core.http.door import Refused
from strongroom.core.http.errors import STATUSES, ErrorAnswers, Statuses
from strongroom.core.http.requests.named import current_id
from strongroom.core.runtime.telemetry import Metrics

PROBLEM: Final = "application/problem+json"


class Problem(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    """An error answer."""

    type: str = ""
    title: str
    status: int
    detail: str
    code: str
    request_id: str = ""
    """As in the header X-Request-Id and in the audit trail."""
    approval_id: str | None = None
    """Under which the change waits for approvals."""
    ledgers: Sequence[Change] | None = None
    """What became of each ledger, of a request that concerns several."""


class PartlyDone(errors.StrongroomError):
    """A change of several ledgers that failed on some of them."""

    code = "partly_done"

    def __init__(self, message: str, ledgers: Sequence[Change]) -> None:
        super().__init__(message)
        self.ledgers = ledgers


class PartlyWaits(errors.ApprovalNeeded):
    """A change of several ledgers that waits for approvals on some of them, on each under an id of its own."""

    def __init__(self, message: str, ledgers: Sequence[Change]) -> None:
        super().__init__(message)
        self.ledgers = ledgers


OF_ADMIN: Final[Statuses] = {**STATUSES, PartlyDone: 503}


class ProblemAnswers(ErrorAnswers):
    statuses = OF_ADMIN

    def __init__(self, metrics: Metrics) -> None:
        super().__init__("admin", metrics)

    def refused_at_door(self, path: str, refused: Refused) -> bytes:
        return msgspec.json.encode(self.body(path, refused.status, refused.message, refused.code))

    def body(self, path: str, status: int, message: str, code: str) -> Problem:
        del path
        self.count(code)
        title, request_id = HTTPStatus(status).phrase, current_id()
        return Problem(title=title, status=int(status), detail=message, code=code, request_id=request_id)

    def of(self, path: str, error: errors.StrongroomError) -> Problem:
        problem: Problem = super().of(path, error)
        if isinstance(error, errors.ApprovalNeeded):
            problem.approval_id = error.approval
        if isinstance(error, PartlyDone | PartlyWaits):
            problem.ledgers = error.ledgers
        return problem

    def answer(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response[Any]:
        return Response(body, status_code=status, headers=headers, media_type=PROBLEM)
