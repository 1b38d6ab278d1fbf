"""Requests that people must approve before they are signed: list, show, approve, refuse."""

from dataclasses import replace
from typing import Annotated, Any

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import Body, FromPath, FromQuery

from strongroom.admin.api.wire import Answer
from strongroom.admin.estate import APPROVE, Estate
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


class ApprovalsController(Controller):
    path = "/admin/v1/ledgers/{ledger:str}/approvals"
    tags = ("Approvals",)

    @get(summary="List requests that wait", opt=needs(APPROVE) | {"query": ("ended",)})
    async def list_approvals(
        self, ledger: FromPath[str], estate: NamedDependency[Estate], ended: FromQuery[bool] = False
    ) -> list[ApprovalView]:
        """The newest first, at most 500. With `ended` those that have ended, too."""
        approvals = estate.find(ledger).approvals
        return [_view(one) for one in await approvals.list(list(ApprovalState) if ended else OPEN)]

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


def _approver(caller: Principal, ledger: str) -> Principal:
    """The right to approve by this API is the ledger's right to approve."""
    return replace(caller, scopes=caller.scopes | {approve_scope(ledger)})


def _view(approval: Approval) -> ApprovalView:
    return msgspec.convert(as_document(approval), ApprovalView)
