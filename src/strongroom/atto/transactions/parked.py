"""The document of a SEND or CHANGE that waits for approvals: what a client asked for, in words of this ledger."""

from typing import Final

import msgspec

from strongroom.core.coordination.idempotency import Attempt
from strongroom.core.security.policy import Deferral

SEND: Final = "SEND"
CHANGE: Final = "CHANGE"


class ParkedTransaction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    operation: str
    address: str
    target: str
    """The receiver, or the representative."""
    amount_raw: str = "0"
    """JSON's readers lose digits of large numbers."""
    last_height: int | None = None
    scope: str = ""
    """Of the client's Idempotency-Key."""
    fingerprint: str = ""
    """Of the request under that key."""


def deferral_of(parked: ParkedTransaction, attempt: Attempt | None, approval: str | None) -> Deferral:
    """`approval`: the id of the approved request that is carried out."""
    if attempt is not None:
        parked = msgspec.structs.replace(parked, scope=attempt.scope, fingerprint=attempt.fingerprint.hex())
    return Deferral(
        key=None if attempt is None else attempt.key, document=msgspec.to_builtins(parked), approval=approval
    )
