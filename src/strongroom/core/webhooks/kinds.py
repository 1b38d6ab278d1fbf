"""The catalogue of events: which kinds there are, and which an endpoint wants."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from strongroom.core.errors import InvalidInput

CODE: Final = "webhook_invalid"
TEST: Final = "webhook.test"
EVERY_LEDGER: Final[Mapping[str, str]] = {
    "payment.signed": "something was signed, and is on its way to the network",
    "payment.confirmed": "the network has it and keeps it, and it did what was asked for",
    "payment.failed": "the network has it and keeps it, but what it asks for failed there",
    "payment.unverified": "the network has it and keeps it, but nobody can tell whether it did what was asked for",
    "payment.rejected": "the network does not have it and never will",
    "payment.abandoned": "an operator gave it up: nobody knows what became of it",
    "approval.asked": "a request waits for approvals",
    "approval.approved": "somebody approved a request",
    "approval.refused": "somebody refused or withdrew a request",
    "approval.expired": "nobody decided a request in time",
    "approval.failed": "an approved request could not be done",
    "freeze.began": "a token, a wallet or the ledger is frozen",
    "freeze.ended": "it is frozen no more",
    "rule.added": "a rule was added",
    "rule.removed": "a rule was removed",
    "token.created": "a token was made",
    "token.changed": "a token was changed",
    "token.rotated": "a token has a new secret",
    "token.revoked": "a token was revoked",
    "token.refused": "a token was used from where it may not be",
    "authentication.failures": "credentials failed again and again",
    "wallet.changed": "a wallet or a key was made, imported, locked, unlocked, given another key or removed",
    "wallet.guessed": "somebody tries wrong keys on a wallet",
    "wallet.exported": "a secret of a wallet was given out",
    "rows.refused": "rows that another program changed count for nothing",
    "audit.checkpoint": "the audit trail has a signed checkpoint",
    "service.sealed": "the keys left the memory",
    "service.unsealed": "the keys are back",
}
"""What any ledger may announce; a ledger's definition adds its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """What one ledger announces."""

    ledger: str
    kinds: Mapping[str, str]
    """Each with what it says."""


CONFIRMED: Final = "payment.confirmed"
OTHER_ENDS: Final = ("payment.failed", "payment.unverified")
"""How else a payment ends that the network has."""

_PATTERN: Final = re.compile(r"[a-z]+(?:\.[a-z]+)*(?:\.\*)?|\*")


def check_patterns(patterns: Iterable[str], known: Collection[str]) -> tuple[str, ...]:
    """Kinds, or beginnings of kinds such as `payment.*`; none or `*`: all. Sorted, each once.

    Raises:
        InvalidInput: one of them matches nothing that there is.
    """
    found = sorted({pattern.strip() for pattern in patterns})
    for pattern in found:
        if not _PATTERN.fullmatch(pattern) or not any(matches(pattern, kind) for kind in known):
            raise InvalidInput(
                f"{pattern[:40]!r} is no kind of event; there is {', '.join(sorted(known))}", code=CODE
            )
    return () if "*" in found else tuple(found)


def matches(pattern: str, kind: str) -> bool:
    if pattern.endswith("*"):
        return kind.startswith(pattern[:-1])
    return kind == pattern


def left_out(wanted: Collection[str]) -> tuple[str, ...]:
    """Ends of payments that an endpoint is not told of, though it wants to know which are confirmed. `wanted` empty: all kinds."""
    if not any(matches(pattern, CONFIRMED) for pattern in wanted):
        return ()
    return tuple(kind for kind in OTHER_ENDS if not any(matches(pattern, kind) for pattern in wanted))
