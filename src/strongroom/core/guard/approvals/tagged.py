"""The tag of a request that waits for approvals, and of the votes on it: nobody approves one past the service, or has it signed again.

    HMAC-SHA256(key, id, sequence, state, what is asked for and by whom, every vote)

`sequence` names the audit row of the last change; the audit trail has a later one for a request that was put back to an older state.
"""

from typing import Final

import msgspec
from sqlalchemy import Connection, update

from strongroom.core.errors import Unavailable
from strongroom.core.guard import tables
from strongroom.core.guard.approvals import store
from strongroom.core.guard.approvals.approval import Approval, encode_terms
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.rows.tag import as_bytes, encoded, is_tag, row_tag
from strongroom.core.security.rows.tokens import ALTERED, NOT_OURS, PURPOSE, REPLACED, TokenRows

TABLE: Final = "strongroom_approval"
CODE: Final = "approval_altered"
_encoder = msgspec.json.Encoder(order="sorted")


class ApprovalAltered(Unavailable):
    """A request that waits is not as the service wrote it. Nothing is signed for it until a person has looked."""

    code = CODE


class ApprovalRows:
    """Checks and tags the requests of one ledger, and the tokens of those who ask and vote."""

    def __init__(self, key: TrailKey) -> None:
        self._key = key
        self.tokens = TokenRows(key)

    def problem(self, approval: Approval) -> str | None:
        """Of a request with its votes. Raises: Sealed: it cannot be told now."""
        key = self._key.derive(PURPOSE)
        if approval.tag is None or approval.sequence is None:
            return NOT_OURS
        if not is_tag(approval.tag, _tag_of(key, approval, approval.sequence)):
            return ALTERED
        return REPLACED if approval.is_old else None

    def require_good(self, approval: Approval) -> None:
        """Raises: ApprovalAltered, Sealed."""
        problem = self.problem(approval)
        if problem is not None:
            raise ApprovalAltered(
                f"The request {approval.id} {problem}: nothing is signed for it until an operator has looked at strongroom rows list"
            )

    def tag(self, connection: Connection, approval_id: str, sequence: int | None = None) -> None:
        """Tags the request as it stands. `sequence` names the audit row of the change; None: the change has none. Raises: Sealed."""
        key = self._key.derive(PURPOSE)
        approval = store.load(connection, approval_id)
        if approval is None:
            raise AssertionError(f"the request {approval_id} was just changed")
        sequence = approval.sequence if sequence is None else sequence
        if sequence is None:
            raise AssertionError(f"the request {approval_id} has no audit row")
        connection.execute(
            update(tables.approval)
            .where(tables.approval.c.id == approval_id)
            .values(sequence=sequence, tag=_tag_of(key, approval, sequence))
        )


def _tag_of(key: bytes, approval: Approval, sequence: int) -> bytes:
    votes = [
        as_bytes(value)
        for vote in approval.votes
        for value in (vote.principal, vote.token, vote.has_scope, vote.at_ms, vote.source)
    ]
    document = None if approval.document is None else _encoder.encode(approval.document)
    columns = {
        "purpose": approval.purpose.value,
        "state": approval.state.value,
        "terms_hash": approval.terms_hash,
        "terms": encode_terms(approval.terms),
        "principal": approval.principal.name,
        "requester": _encoder.encode(approval.principal.rights),
        "idempotency_key": approval.key,
        "document": document,
        "requirements": _encoder.encode(approval.requirements),
        "asked_at_ms": approval.asked_at_ms,
        "expires_at_ms": approval.expires_at_ms,
        "votes": encoded(votes),
    }
    return row_tag(key, TABLE, approval.id, sequence, columns)
