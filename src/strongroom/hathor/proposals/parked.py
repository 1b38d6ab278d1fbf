"""Transactions that wait for approvals: the document with which the service sends one, and which proposals they keep."""

import msgspec
from sqlalchemy import Connection

from strongroom.core.guard.approvals.approval import Purpose
from strongroom.core.guard.approvals.store import select_open
from strongroom.core.security.policy import Deferral


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
    waiting = (approval.document for approval in select_open(connection, Purpose.SIGNATURE, now_ms))
    return frozenset(str(document["proposal"]) for document in waiting if document is not None)
