"""Requests that people must approve before they are signed: list, show, approve, refuse."""

from dataclasses import replace
from typing import Annotated, Any

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import Body, FromPath, QueryParameter

from strongroom.admin.api.access import ANY
from strongroom.admin.api.pages import Cursor
from strongroom.admin.api.wire import Answer
from strongroom.admin.estate import APPROVE, Estate
from strongroom.core.guard.approvals.administration import MAX_PAGE, ApprovalAdministration
from strongroom.core.guard.approvals.approval import OPEN, Approval, ApprovalState
from strongroom.core.guard.approvals.document import as_document
from strongroom.core.guard.rule import approve_scope
from strongroom.core.http.route_access import needs
from strongroom.core.security.access import Principal


class RequirementView(Answer):
    rule: str
    needed: int
    of: list[str] | None
    """Who may; null: every principal with the scope to approve."""


class VoteView(Answer):
    principal: str
    at: str
    source: str


class ApprovalView(Answer):
    id: str
    purpose: str
    """signature, or change: of a rule or a freeze"""
    state: ApprovalState
    asked_by: str
    source: str
    asked_at: str
    expires_at: str
    ended_at: str | None
    terms: dict[str, Any]
    """Exactly what is approved."""
    terms_hash: str
    requirements: list[RequirementView]
    approved_by: list[VoteView]
    signed: str | None
    """The id of what was signed."""
    reason: str | None


class Refusal(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    reason: str
    """Told to whoever asked."""


class ApprovalPage(Answer):
    approvals: list[ApprovalView]
    cursor: str | None
    """For the next page; null: this is the last one."""


QUERY = ("ended", "cursor", "limit")
Ended = Annotated[bool, QueryParameter(description="Those that have ended, too")]
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_PAGE, description="The most requests on a page")]


class ApprovalsController(Controller):
    path = "/admin/v1/ledgers/{ledger:str}/approvals"
    tags = ("Approvals",)

    @get(summary="Page through requests that wait", opt=needs(APPROVE) | {"query": QUERY})
    async def page(
        self,
        ledger: FromPath[str],
        estate: NamedDependency[Estate],
        ended: Ended = False,
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> ApprovalPage:
        """The newest first. Pages neither repeat nor miss one while others are added or decided."""
        return await _page(estate.find(ledger).approvals, None, ended=ended, cursor=cursor, limit=limit)

    @get("/{approval:str}", summary="Show a request", opt=needs(APPROVE))
    async def show(
        self, ledger: FromPath[str], approval: FromPath[str], estate: NamedDependency[Estate]
    ) -> ApprovalView:
        """What would be signed, who asked, what the rules ask for, and who has approved it."""
        return _view(await estate.find(ledger).approvals.show(approval))

    @post("/{approval:str}/approve", status_code=200, summary="Approve", opt=needs(APPROVE))
    async def approve(
        self,
        ledger: FromPath[str],
        approval: FromPath[str],
        estate: NamedDependency[Estate],
        caller: NamedDependency[Principal],
    ) -> ApprovalView:
        """When enough people have, the service signs it, once. Nobody approves a request of their own, or of a token they made."""
        return _view(await estate.find(ledger).approvals.approve(_approver(caller, ledger), approval))

    @post("/{approval:str}/refuse", status_code=200, summary="Refuse", opt=needs(APPROVE))
    async def refuse(
        self,
        ledger: FromPath[str],
        approval: FromPath[str],
        data: Annotated[Refusal, Body()],
        estate: NamedDependency[Estate],
        caller: NamedDependency[Principal],
    ) -> ApprovalView:
        """Ends the request, whoever else approved it."""
        approvals = estate.find(ledger).approvals
        return _view(await approvals.refuse(_approver(caller, ledger), approval, data.reason))


class AskedController(Controller):
    """For callers without the right to approve: what they asked for themselves."""

    path = "/admin/v1/ledgers/{ledger:str}/asked"
    tags = ("Approvals",)

    @get(summary="Page through requests of one's own", opt=needs(ANY) | {"query": QUERY})
    async def page(
        self,
        ledger: FromPath[str],
        estate: NamedDependency[Estate],
        caller: NamedDependency[Principal],
        ended: Ended = False,
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> ApprovalPage:
        """What the caller asked for and others must approve, the newest first. Any scope of the admin API opens it."""
        approvals = estate.find(ledger).approvals
        return await _page(approvals, caller.name, ended=ended, cursor=cursor, limit=limit)

    @post(
        "/{approval:str}/withdraw", status_code=200, summary="Withdraw a request of one's own", opt=needs(ANY)
    )
    async def withdraw(
        self,
        ledger: FromPath[str],
        approval: FromPath[str],
        estate: NamedDependency[Estate],
        caller: NamedDependency[Principal],
    ) -> ApprovalView:
        """Ends it, whoever approved it already."""
        return _view(await estate.find(ledger).approvals.withdraw(caller, approval))


async def _page(
    approvals: ApprovalAdministration, asked_by: str | None, *, ended: bool, cursor: str | None, limit: int
) -> ApprovalPage:
    """A page's cursor is the id of its last request."""
    states = list(ApprovalState) if ended else OPEN
    found = await approvals.page(states, after=cursor, limit=limit + 1, asked_by=asked_by)
    shown = found[:limit]
    return ApprovalPage(
        approvals=[_view(one) for one in shown], cursor=shown[-1].id if len(found) > limit else None
    )


def _approver(caller: Principal, ledger: str) -> Principal:
    """The right to approve by this API is the ledger's right to approve."""
    return replace(caller, scopes=caller.scopes | {approve_scope(ledger)})


def _view(approval: Approval) -> ApprovalView:
    return msgspec.convert(as_document(approval), ApprovalView)
