"""An intent, its outcome, and the verdicts that a ledger's network gives about it."""

import enum
from dataclasses import dataclass
from typing import Any, Final

from strongroom.core.intents.execution import Execution
from strongroom.core.json_decoder import decode_json

APPROVAL: Final = "approval"
"""In an intent's notes: the id of the request that people approved, and which its signature spent."""


class Outcome(enum.StrEnum):
    """What became of an intent."""

    OPEN = "OPEN"
    """Not known: it may be submitted or not, and the ledger may have it or not."""
    ACCEPTED = "ACCEPTED"
    """The ledger has it. Whether it had its effect there says its `Execution`, on ledgers where that may differ."""
    REJECTED = "REJECTED"
    """The ledger does not have it and never will."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A signed payload as stored."""

    id: bytes
    """32 bytes that name the payload on its network: the hash of the block, extrinsic or transaction."""
    account: str
    slot: bytes | None
    """The slot, which only one payload may take; None once this intent is REJECTED."""
    kind: str
    payload: bytes
    """The bytes that are submitted. Every offer submits exactly these."""
    principal: str
    request: str
    """A JSON object with the audit details of the signature and the ledger's own notes. `notes` reads it."""
    wallet: str = ""
    """Name of the account's wallet; empty where it was not recorded."""
    token: str | None = None
    """The id of the API token that asked for it."""
    rule: str | None = None
    """The name of the rule that allowed it; None: the default did."""
    stage: str
    """The ledger's own word for how far the intent has come; when it is REJECTED, the ledger's word for the cause."""
    outcome: Outcome = Outcome.OPEN
    reason: str | None = None
    """Why it is REJECTED, for people."""
    attempts: int = 1
    """How many offers may still arrive, each counted before it is made. 0: a client submits the payload, not this service.

    The refusal of the only offer sets it back to 0, so that the same payload may be signed and offered anew.
    """
    counted: str | None = None
    """What the signature counts in the windows of rules (`core.coordination.windows`); given back while it is REJECTED."""
    created_at_ms: int
    resolved_at_ms: int | None = None
    request_id: str = ""
    """Names the request that had it signed; empty: none did, or it was not recorded."""
    first_offered_at_ms: int | None = None
    """When this service first offered it, as far as it knows: a process may end before it has noted an offer."""
    last_offered_at_ms: int | None = None
    last_answer: str | None = None
    """Why the network's last word did not end it, for people."""
    last_answer_at_ms: int | None = None
    client_key: str = ""
    """What its client called the request, for example its Idempotency-Key; empty: nothing."""
    told_at_ms: int | None = None
    """When the ledger's own receiver took it; None: it did not, or there is none."""
    told_attempts: int | None = None
    is_new: bool = False
    """True in the process that has just stored it: no one has offered it yet, and this process makes the first offer."""

    @property
    def notes(self) -> dict[str, Any]:
        found: dict[str, Any] = decode_json(self.request)
        return found

    @property
    def is_open(self) -> bool:
        return self.outcome is Outcome.OPEN


# The four verdicts. A ledger that wants to pass more to its `Effects` derives its own class from one of them.


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """The ledger has the payload, and will keep it."""

    stage: str = "accepted"
    execution: Execution | None = None
    """What the ledger did with it, as `Executions.load` reads it once the effects are stored; None: it had its effect."""


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """The ledger can never have the payload. A network answers this only with proof: the slot becomes free."""

    reason: str
    stage: str = "rejected"
    """A stable word for the cause. Code decides by it, never by the reason."""
    if_unshared: bool = False
    """True: the proof holds only if no other offer was made. If one was, the intent stays OPEN.

    As the answer of `offer` it counts only for the first and only offer of the payload, for example when nothing left this
    process, or the only node that was asked refused the payload. The resolver sees to that, also across processes and
    restarts: the same answer to a later offer counts as `Unknown`, because an earlier offer may still arrive. As the answer
    of `follow` it counts if nobody has offered the payload since `Intent.attempts` was read.
    """
    is_presumed: bool = False
    """True: the payload counts as failed because nobody has it for long, and might arrive after all: rules go on counting it."""


@dataclass(frozen=True, kw_only=True)
class Pending:
    """The payload is on its way: the resolver does not offer it again now, and asks again later."""

    stage: str
    is_news: bool = False
    """True: something else than the stage changed, so the effects are applied even if the stage is the same."""
    trouble: str | None = None
    """Why the network could not say more; the resolver's health shows it."""


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """It is neither known that the ledger has the payload nor proven that it never will. The same bytes are offered again."""

    why: str


Verdict = Accepted | Rejected | Pending | Unknown
