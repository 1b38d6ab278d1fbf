"""Whether a ledger's audit trail is whole: begun by a call, and looked at until it is over."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import Body, FromPath

from strongroom.admin.api import access
from strongroom.admin.api.wire import Answer
from strongroom.admin.estate import Estate
from strongroom.core.clock import iso_instant
from strongroom.core.errors import NotFound
from strongroom.core.http.route_access import needs
from strongroom.core.transparency.checkpoint import parse_checkpoint
from strongroom.core.transparency.inspection import Finding
from strongroom.core.transparency.watching import Verification


class Kept(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    since: list[dict[str, Any]] = []
    """Checkpoints that were kept elsewhere, as `strongroom audit checkpoint` prints them."""


class FindingView(Answer):
    code: str
    detail: str


class VerificationView(Answer):
    state: Literal["running", "whole", "wrong", "failed"]
    started_at: str
    done: int
    """Rows that were compared with checkpoints."""
    total: int
    """Rows that checkpoints cover; 0: their turn has not come, or there are none."""
    summary: str | None
    findings: list[FindingView]
    """What is wrong; where it failed, why."""
    notices: list[FindingView]
    """What is no error, and must be known."""


class VerificationController(Controller):
    path = "/admin/v1/ledgers/{ledger:str}/audit/verification"
    tags = ("Audit",)

    @post(status_code=200, summary="Verify the trail", opt=needs(access.AUDIT))
    async def start(
        self, ledger: FromPath[str], data: Annotated[Kept, Body()], estate: NamedDependency[Estate]
    ) -> Response[VerificationView]:
        """As `strongroom audit verify --since`. What takes longer than a second goes on in this process, and is answered with 202."""
        kept = [parse_checkpoint(msgspec.json.encode(one)) for one in data.since]
        found = await estate.find(ledger).verifications.start(kept)
        return Response(_view(found), status_code=200 if found.is_over else 202)

    @get(summary="Show the last verification", opt=needs(access.AUDIT))
    async def show(self, ledger: FromPath[str], estate: NamedDependency[Estate]) -> VerificationView:
        """How far it is, or what it found. Only the process that began it knows it."""
        found = estate.find(ledger).verifications.last
        if found is None:
            raise NotFound(
                f"This process has verified nothing of {ledger} yet", code="verification_not_found"
            )
        return _view(found)


def _view(one: Verification) -> VerificationView:
    report = one.report
    state: Literal["running", "whole", "wrong", "failed"] = "running"
    findings: list[Finding] = []
    if one.error is not None:
        state, findings = "failed", [Finding(code=one.error.instance_code, detail=one.error.message)]
    elif report is not None:
        state, findings = "wrong" if report.findings else "whole", [*report.findings]
    return VerificationView(
        state=state,
        started_at=iso_instant(one.started_at_ms),
        done=one.done,
        total=one.total,
        summary=None if report is None or report.findings else report.summary,
        findings=[FindingView(code=each.code, detail=each.detail) for each in findings],
        notices=[]
        if report is None
        else [FindingView(code=each.code, detail=each.detail) for each in report.notices],
    )
