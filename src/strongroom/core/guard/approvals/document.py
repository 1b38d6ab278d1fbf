"""A request that waits for approvals, as commands and the API show it."""

from typing import Any

from strongroom.core.clock import iso_instant
from strongroom.core.guard.approvals.approval import Approval


def as_document(approval: Approval) -> dict[str, Any]:
    """For programs. It has no secret in it: no request that waits contains one."""
    return {
        "id": approval.id,
        "purpose": approval.purpose.value,
        "state": approval.state.value,
        "askedBy": approval.principal.name,
        "source": approval.principal.source,
        "askedAt": iso_instant(approval.asked_at_ms),
        "expiresAt": iso_instant(approval.expires_at_ms),
        "endedAt": None if approval.ended_at_ms is None else iso_instant(approval.ended_at_ms),
        "terms": approval.terms,
        "termsHash": approval.terms_hash.hex(),
        "requirements": [
            {"rule": each.name, "needed": each.needed, "of": None if each.of is None else list(each.of)}
            for each in approval.requirements
        ],
        "approvedBy": [
            {"principal": vote.principal, "at": iso_instant(vote.at_ms), "source": vote.source}
            for vote in approval.votes
        ],
        "signed": None if approval.payload_id is None else approval.payload_id.hex(),
        "reason": approval.reason,
    }
