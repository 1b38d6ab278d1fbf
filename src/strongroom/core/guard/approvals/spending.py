"""Decides, in the transaction that signs, whether people approved exactly this, and spends their approval."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from strongroom.core.errors import Conflict, Forbidden, IdempotencyMismatch
from strongroom.core.guard.approvals import store
from strongroom.core.guard.approvals.approval import (
    OPEN,
    Approval,
    ApprovalState,
    Requirement,
    Unapproved,
    hash_terms,
    requirement_of,
    slot_of,
    terms_of,
)
from strongroom.core.guard.approvals.tagged import ApprovalRows
from strongroom.core.guard.evaluation import ActiveRule
from strongroom.core.guard.state import GuardState
from strongroom.core.security.policy import EXPORT, SignatureRequest

SPENT_CODE = "approval_spent"
REFUSED_CODE = "approval_refused"
EXPIRED_CODE = "approval_expired"
FAILED_CODE = "approval_failed"
EXPORTS: Final = Requirement(rule="", name="the export of a secret", needed=1)
"""What is asked of an export for which no rule asks."""


def settle(
    rows: ApprovalRows,
    connection: Connection,
    state: GuardState,
    request: SignatureRequest,
    asking: Sequence[ActiveRule],
    now_ms: int,
    *,
    spends: bool,
) -> str | None:
    """Returns the id of the approval that is spent by this signature; None: there is none, and nothing asks for one.

    A request that waits is spent also where no rule asks for it any more: it would be signed a second time otherwise, when
    people approve it. `spends`: False only looks.

    Raises:
        Unapproved: people must approve it first.
        Forbidden, Conflict: people decided, or time did, or the approval was spent.
        Unauthenticated: the token of the one who asked was revoked.
        ApprovalAltered: another program changed the request, or votes on it.
    """
    deferral = request.deferral
    if request.principal.is_service:
        return None
    requirements = [requirement_of(rule) for rule in asking]
    if request.kind == EXPORT and not requirements:
        requirements = [EXPORTS]
    if not requirements and deferral.approval is None and not state.has_approvals:
        return None
    terms_hash = hash_terms(terms_of(request))
    approval = _find(connection, request, terms_hash, now_ms, lock=spends)
    if approval is None:
        if requirements:
            raise Unapproved(request, requirements, state.generation)
        return None
    rows.require_good(approval)
    _require_open(approval, terms_hash, now_ms)
    rows.tokens.require_unrevoked(connection, request.principal)
    if requirements and not (
        approval.state is ApprovalState.APPROVED
        and store.is_satisfied(connection, rows.tokens, state, approval, requirements)
    ):
        raise Unapproved(request, requirements, state.generation)
    if spends:
        states = (ApprovalState.APPROVED,) if requirements or deferral.approval is not None else OPEN
        if not store.spend(connection, approval, terms_hash, now_ms, states):
            raise _spent(approval)
        rows.tag(connection, approval.id)
    return approval.id


def _find(
    connection: Connection, request: SignatureRequest, terms_hash: bytes, now_ms: int, *, lock: bool
) -> Approval | None:
    """The approval of this very request: by its id, its key, or where it has none, by what it asks for."""
    deferral = request.deferral
    if deferral.approval is not None:
        approval = store.load(connection, deferral.approval, lock=lock)
        if approval is None or approval.principal.name != request.principal.name:
            raise Conflict("There is no such approved request", code=SPENT_CODE)
        return approval
    slot = slot_of(request.principal.name, deferral.key, terms_hash)
    approval = store.load_by_slot(connection, slot, lock=lock)
    if approval is not None and deferral.key is None and approval.state_at(now_ms) not in OPEN:
        return None  # an equal request is a new one
    return approval


def _require_open(approval: Approval, terms_hash: bytes, now_ms: int) -> None:
    """Raises: IdempotencyMismatch, Forbidden, Conflict: with what became of it."""
    if approval.terms_hash != terms_hash:
        raise IdempotencyMismatch(
            f"What waits for approval as {approval.id} under this Idempotency-Key is a request with other content"
        )
    match approval.state_at(now_ms):
        case ApprovalState.SPENT:
            raise _spent(approval)
        case ApprovalState.REFUSED:
            raise Forbidden(f"The request {approval.id} was refused: {approval.reason}", code=REFUSED_CODE)
        case ApprovalState.EXPIRED:
            raise Forbidden(f"The request {approval.id} was not approved in time", code=EXPIRED_CODE)
        case ApprovalState.FAILED:
            raise Forbidden(
                f"The request {approval.id} could not be carried out: {approval.reason}", code=FAILED_CODE
            )
        case _:
            return


def _spent(approval: Approval) -> Conflict:
    what = "" if approval.payload_id is None else f" on {approval.payload_id.hex().upper()}"
    return Conflict(
        f"The approval {approval.id} was spent{what}; nothing else is signed for it", code=SPENT_CODE
    )
