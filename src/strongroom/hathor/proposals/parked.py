"""Transactions that wait for approvals: the document with which the service sends one, and which proposals they keep."""

from typing import Final

import msgspec
from sqlalchemy import Connection

from strongroom.core.guard.approvals.approval import OPEN, Purpose
from strongroom.core.guard.approvals.store import select_approvals
from strongroom.core.security.policy import Deferral

MAX_WAITING: Final = 10_000


class ParkedBroadcast(msgspec.Struct, frozen=True, kw_only=True):
    proposal: str
    transaction: str
    """As its wallet signed it, in hex."""


def deferral_of(proposal_id: str, raw: bytes, approval: str | None = None) -> Deferral:
    """`approval`: the id of the approved request that is carried out."""
    parked = ParkedBroadcast(proposal=proposal_id, transaction=raw.hex())
    return Deferral(document=msgspec.to_builtins(parked), approval=approval)


def waiting_proposals(connection: Connection, now_ms: int) -> frozenset[str]:
    """The proposals that keep their outputs because people may still approve what was signed for them."""
    waiting = select_approvals(connection, OPEN, limit=MAX_WAITING, purpose=Purpose.SIGNATURE)
    return frozenset(
        str(approval.document["proposal"])
        for approval in waiting
        if approval.document is not None and approval.state_at(now_ms) in OPEN
    )
