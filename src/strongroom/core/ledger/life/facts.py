"""What is known of a payment, and what is told of it."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from strongroom.core.clock import iso_instant
from strongroom.core.guard.approvals.approval import Approval
from strongroom.core.intents.payments import PaymentRecord, document_of
from strongroom.core.ledger.telling import Telling
from strongroom.core.webhooks.queue import QueuedEvent


class Word(enum.StrEnum):
    """The kinds of steps."""

    ASKED = "asked"
    WAITED = "waited"
    APPROVED = "approved"
    REFUSED = "refused"
    ALLOWED = "allowed"
    SIGNED = "signed"
    OFFERED = "offered"
    ANSWERED = "answered"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    """The ledger has it, and what it asks for failed there."""
    UNVERIFIED = "unverified"
    """The ledger has it, and nobody can tell whether it had its effect."""
    REJECTED = "rejected"
    TOLD = "told"
    NEXT = "next"
    """What happens next, and why nothing is lost meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of a life."""

    word: Word
    at_ms: int | None
    """None: of what is still to come, or whose time is not recorded."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An event of a payment for one endpoint of webhooks."""

    endpoint: str
    """Its name."""
    event: QueuedEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is stored of one payment, or of a request that is not signed yet."""

    ledger: str
    payment: PaymentRecord | None
    network_id: str
    """The payment's id as the network writes it; without a payment, what an approval was spent on. Empty: nothing is signed."""
    approval: Approval | None
    deliveries: Sequence[Delivery] = ()
    tellings: Sequence[Telling] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """A payment and its steps, in the order in which they happened; what is open stands last."""

    facts: Facts
    steps: Sequence[Step]

    @property
    def document(self) -> dict[str, Any]:
        """For programs."""
        facts = self.facts
        payment = None if facts.payment is None else document_of(facts.payment, facts.network_id)
        return {
            "ledger": facts.ledger,
            "payment": payment,
            "approval": None if facts.approval is None else facts.approval.id,
            "life": [
                {
                    "step": one.word.value,
                    "at": None if one.at_ms is None else iso_instant(one.at_ms),
                    "text": one.text,
                }
                for one in self.steps
            ],
        }
