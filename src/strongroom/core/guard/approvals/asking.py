"""Begins to wait for approvals, in the caller's transaction: of a signature as of a change."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection

from strongroom.core.errors import Conflict
from strongroom.core.guard.approvals import store
from strongroom.core.guard.approvals.approval import OPEN, Approval, ApprovalState
from strongroom.core.guard.approvals.tagged import ApprovalRows
from strongroom.core.security.audit import Audit

MAX_WAITING: Final = 1_000
"""Of one principal. What waits is seen by people, and costs a row each."""


def begin_waiting(
    connection: Connection,
    audit: Audit,
    approval: Approval,
    slot: bytes,
    *,
    over: Approval | None,
    details: Mapping[str, Any],
) -> None:
    """Stores the request, in the place of the one that had the slot and whose time is over. `details`: for the audit row.

    Raises:
        Conflict: too many requests of the principal wait.
        Duplicate: another request took the slot.
    """
    now_ms, principal = approval.asked_at_ms, approval.principal
    if over is not None:
        store.end_locked(connection, over, ApprovalState.EXPIRED, None, now_ms)
    if store.count(connection, OPEN, now_ms, principal=principal.name) >= MAX_WAITING:
        raise Conflict(f"{MAX_WAITING} requests of yours wait for approval", code="too_many_approvals")
    store.insert(connection, approval, slot)
    rows = ApprovalRows(audit.key)
    if over is not None:
        ended = {"terms": over.terms, "reason": None}
        rows.tag(connection, over.id, audit.append(connection, principal, "approval.expired", over.id, ended))
    asked = {"terms": approval.terms, **details, "expiresAtMs": approval.expires_at_ms}
    rows.tag(connection, approval.id, audit.append(connection, principal, "approval.ask", approval.id, asked))
