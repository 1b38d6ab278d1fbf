"""A request that waits for approvals, and what it is bound to.

PARKED ──> APPROVED ──> SPENT       a signature was made, or a change was done
   ├───────────┼──────> FAILED      it could not be carried out and never will be, or its ground is gone
   ├───────────┼──────> REFUSED     somebody said no
   └───────────┴──────> EXPIRED     nobody said enough in time

A change is never APPROVED: the last vote does it. What waits and needs no approval any more may be SPENT from PARKED.
"""

import enum
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from strongroom.core.errors import ApprovalNeeded
from strongroom.core.guard.evaluation import ActiveRule
from strongroom.core.security.access import Principal
from strongroom.core.security.policy import SignatureRequest, Term, Unsaid

_encoder = msgspec.json.Encoder(order="sorted")


class ApprovalState(enum.StrEnum):
    PARKED = "parked"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"
    SPENT = "spent"
    FAILED = "failed"


OPEN: Final = (ApprovalState.PARKED, ApprovalState.APPROVED)


class Purpose(enum.StrEnum):
    SIGNATURE = "signature"
    CHANGE = "change"
    """Of a rule or a freeze."""


class Requirement(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule asks for."""

    rule: str
    """The id of the rule; empty: a setting asks."""
    name: str
    needed: int
    of: tuple[str, ...] | None = None
    """None: every principal with the scope to approve."""

    @property
    def words(self) -> str:
        whom = "" if self.of is None else f" of {', '.join(self.of)}"
        who = f"the rule {self.name!r}" if self.rule else self.name
        return f"{who} asks for {self.needed}{whom}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """Somebody's yes. A no ends the request and stands in it."""

    principal: str
    token: str | None
    has_scope: bool
    at_ms: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A request that waits for approvals, or did."""

    id: str
    purpose: Purpose
    state: ApprovalState
    terms: dict[str, Any]
    """Exactly what is approved; `terms_hash` is its hash."""
    terms_hash: bytes
    principal: Principal
    """Who asked."""
    key: str | None
    document: dict[str, Any] | None
    requirements: tuple[Requirement, ...]
    asked_at_ms: int
    expires_at_ms: int
    ended_at_ms: int | None
    payload_id: bytes | None
    """What was signed."""
    reason: str | None
    """Why it was refused or failed; while it is approved, why it could not be carried out yet."""
    votes: tuple[Vote, ...] = ()
    sequence: int | None = None
    """Of the audit row of its last change."""
    tag: bytes | None = None
    """See `core.guard.approvals.tagged`."""
    is_old: bool = False
    """The audit trail knows a later change of it."""

    def state_at(self, now_ms: int) -> ApprovalState:
        """Nothing is approved or signed after the time, whether or not a process has stored that it is over."""
        is_over = self.state in OPEN and now_ms >= self.expires_at_ms
        return ApprovalState.EXPIRED if is_over else self.state


class Unapproved(ApprovalNeeded):
    """The policy's answer inside the transaction that would sign. It undoes the transaction, and the request is parked."""

    def __init__(
        self, request: SignatureRequest, requirements: Sequence[Requirement], generation: int
    ) -> None:
        super().__init__(f"It needs approval: {needs(requirements)}")
        self.rule = next((each.name for each in requirements), None)
        self.request = request
        self.requirements = tuple(requirements)
        self.generation = generation
        """Of the rules that asked. Under other rules the request is judged again."""


def needs(requirements: Sequence[Requirement]) -> str:
    return "; ".join(each.words for each in requirements)


def requirement_of(rule: ActiveRule) -> Requirement:
    approvals = rule.rule.approvals
    if approvals is None:
        raise AssertionError("only rules that ask for approvals come here")
    return Requirement(rule=rule.id, name=rule.name, needed=approvals.needed, of=approvals.of)


def terms_of(request: SignatureRequest) -> dict[str, Any]:
    """Everything that an approval holds for. It leaves out what changes while people decide, such as the block before."""
    content = request.payload_hash if request.content_hash is None else request.content_hash
    return {
        "principal": request.principal.name,
        "scope": request.scope,
        "wallet": request.wallet,
        "account": request.account,
        "kind": request.kind,
        "amountRaw": str(request.amount_raw),
        "isAmountKnown": request.is_amount_known,
        "destination": request.destination,
        "payments": [
            {"destination": each.destination, "amountRaw": str(each.amount_raw), "asset": each.asset}
            for each in request.payments
        ],
        "terms": {name: _said(term) for name, term in request.terms.items()},
        "content": content.hex(),
    }


def _said(term: Term) -> Any:
    return {"unsaid": term.value} if isinstance(term, Unsaid) else term


def encode_terms(terms: dict[str, Any]) -> str:
    return _encoder.encode(terms).decode()


def hash_terms(terms: dict[str, Any]) -> bytes:
    return hashlib.sha256(encode_terms(terms).encode()).digest()


def slot_of(principal: str, key: str | None, terms_hash: bytes) -> bytes:
    """What at most one waiting request has: with a key the key, and without one its terms."""
    if key is None:
        return hashlib.sha256(b"terms\0" + terms_hash).digest()
    return hashlib.sha256(b"key\0" + _encoder.encode([principal, key])).digest()
