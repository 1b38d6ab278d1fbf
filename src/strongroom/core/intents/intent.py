"""An intent, and what a ledger's network may say of it."""

import enum
from dataclasses import dataclass
from typing import Any

from strongroom.core.json_decoder import decode_json


class Outcome(enum.StrEnum):
    """What became of an intent."""

    OPEN = "OPEN"
    """Not known. It may have been submitted or not, and the ledger may have it or not."""
    ACCEPTED = "ACCEPTED"
    """The ledger has it."""
    REJECTED = "REJECTED"
    """The ledger does not have it and never will."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A signed payload as stored."""

    id: bytes
    """32 bytes that name the payload on its network: the hash of the block, extrinsic or transaction."""
    account: str
    slot: bytes | None
    """What no other payload may take; None once this one is REJECTED."""
    kind: str
    payload: bytes
    """The bytes that are submitted: always these and no others."""
    principal: str
    request: str
    """A JSON object: what the audit trail says of the signature, and the ledger's own notes. Read it as `notes`."""
    stage: str
    """The ledger's own word for how far it is; of a REJECTED one: for why."""
    outcome: Outcome = Outcome.OPEN
    reason: str | None = None
    """Why it is REJECTED, for people."""
    attempts: int = 1
    """How often it was offered, counted before each offer. 0: others submit it."""
    created_at_ms: int
    resolved_at_ms: int | None = None
    is_new: bool = False
    """This process has just stored it: nobody has offered it, and the first offer is this process's."""

    @property
    def notes(self) -> dict[str, Any]:
        found: dict[str, Any] = decode_json(self.request)
        return found

    @property
    def is_open(self) -> bool:
        return self.outcome is Outcome.OPEN


# The judgements. A ledger that has more to tell its `Effects` derives a class of its own from one of them.


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """The ledger has it, for good."""

    stage: str = "accepted"


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """The ledger can never have it. Only what proves that may be answered with this."""

    reason: str
    stage: str = "rejected"
    """A stable word for why: decisions depend on it and never on the reason."""
    if_unshared: bool = False
    """True: this proves something only while no other offer was made. Where one was, the intent stays OPEN.

    For the answer to the first offer: `nothing left this process`, or `the only node that was asked refused it`.
    """


@dataclass(frozen=True, kw_only=True)
class Pending:
    """It is on its way: it is not offered again now, and followed further."""

    stage: str
    is_news: bool = False
    """Something beside the stage changed: the effects are applied although the stage is as it was."""
    trouble: str | None = None
    """What kept the network from saying more, for the health of the resolver."""


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """Nobody says that the ledger has it, and nothing proves that it never will: the same bytes may be offered again."""

    why: str


Verdict = Accepted | Rejected | Pending | Unknown
