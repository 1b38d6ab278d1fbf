"""Changes of rules and freezes that loosen, where the operator wants other people to approve them.

A parked change is done in the transaction of the vote that completes its approvals.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection

from strongroom.core.clock import iso_instant
from strongroom.core.errors import ApprovalNeeded, StrongroomError
from strongroom.core.guard.approvals import store
from strongroom.core.guard.approvals.approval import (
    OPEN,
    Approval,
    ApprovalState,
    Purpose,
    Requirement,
    hash_terms,
    needs,
    slot_of,
)
from strongroom.core.guard.approvals.asking import begin_waiting
from strongroom.core.guard.rule import Rule
from strongroom.core.guard.state import FreezeScope, GuardState
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.rows.tokens import TokenRows


class AddRule(msgspec.Struct, frozen=True, kw_only=True, tag="policy.add"):
    name: str
    rule: Rule


class RemoveRule(msgspec.Struct, frozen=True, kw_only=True, tag="policy.remove"):
    name: str
    id: str
    """Another rule may have the name when people approve it."""


class EndFreeze(msgspec.Struct, frozen=True, kw_only=True, tag="unfreeze"):
    scope: FreezeScope
    subject: str
    id: str


Change = AddRule | RemoveRule | EndFreeze
Apply = Callable[[Connection, Principal, Change, str], None]
"""Does a change in the name of the principal; the text is the id of its approval. Raises: StrongroomError, before it writes."""


def no_change(connection: Connection, principal: Principal, change: Change, approval: str) -> None:
    """For a ledger where no change waits."""
    del connection, principal, change, approval
    raise AssertionError("no change waits here")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeApprovals:
    """Who else must approve a change that loosens."""

    needed: int
    """0: nobody."""
    lifetime_ms: int

    @property
    def requirement(self) -> Requirement:
        return Requirement(rule="", name="STRONGROOM_POLICY_APPROVALS", needed=self.needed)


NOBODY = ChangeApprovals(needed=0, lifetime_ms=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeAsked:
    """One that waits, or that must begin to."""

    principal: Principal
    change: Change
    approval_id: str
    """For a new one."""


def park_change(
    connection: Connection, asked: ChangeAsked, approvals: ChangeApprovals, audit: Audit, now_ms: int
) -> Approval:
    """The request to approve it: the one that waits already, or a new one."""
    document = msgspec.to_builtins(asked.change)
    terms = {"principal": asked.principal.name, "kind": document["type"], "change": document}
    terms_hash = hash_terms(terms)
    slot = slot_of(asked.principal.name, None, terms_hash)
    known = store.load_by_slot(connection, slot, lock=True)
    if known is not None and known.state_at(now_ms) in OPEN:
        return known
    approval = Approval(
        id=asked.approval_id,
        purpose=Purpose.CHANGE,
        state=ApprovalState.PARKED,
        terms=terms,
        terms_hash=terms_hash,
        principal=asked.principal,
        key=None,
        document=document,
        requirements=(approvals.requirement,),
        asked_at_ms=now_ms,
        expires_at_ms=now_ms + approvals.lifetime_ms,
        ended_at_ms=None,
        payload_id=None,
        reason=None,
    )
    begin_waiting(connection, audit, approval, slot, over=known, details={})
    return approval


def waits(approval: Approval) -> ApprovalNeeded:
    return ApprovalNeeded(
        f"Nothing is changed yet: {needs(approval.requirements)}. It waits as {approval.id} until"
        f" {iso_instant(approval.expires_at_ms)}, and is done when it is approved",
        approval=approval.id,
    )


def do_change(
    connection: Connection,
    rows: TokenRows,
    state: GuardState,
    approval: Approval,
    apply: Apply,
    now_ms: int,
) -> None:
    """Does what was approved, or ends it with the reason why it cannot be done any more."""
    reason = _try(connection, rows, state, approval, apply)
    end = ApprovalState.SPENT if reason is None else ApprovalState.FAILED
    store.end_locked(connection, approval, end, reason, now_ms)


def _try(
    connection: Connection, rows: TokenRows, state: GuardState, approval: Approval, apply: Apply
) -> str | None:
    """Does the change; returns why it cannot be done any more, and None if it is done."""
    change: Change = msgspec.convert(_document_of(approval), AddRule | RemoveRule | EndFreeze)
    try:
        rows.require_unrevoked(connection, approval.principal)
        if store.is_frozen(state, approval.principal.names):
            return "whoever asked is frozen"
        apply(connection, approval.principal, change, approval.id)
    except StrongroomError as error:
        return error.message
    return None


def _document_of(approval: Approval) -> dict[str, Any]:
    if approval.document is None:
        raise AssertionError("a change has a document")
    return approval.document
