"""Stores what a verdict on an extrinsic changes: its account, its receipt, and its job."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from strongroom.bittensor.extrinsics.extrinsic import (
    NO_RECEIPT,
    Dead,
    Extrinsic,
    Finalized,
    Receipt,
    State,
    extrinsic_of,
    receipt_of,
)
from strongroom.bittensor.extrinsics.nonces import lock_account, note_final
from strongroom.bittensor.extrinsics.store import load_receipts, put_receipt
from strongroom.bittensor.gateway import Head
from strongroom.core.errors import OutcomeUnknown, Unavailable
from strongroom.core.intents.intent import Accepted, Intent, Pending, Rejected
from strongroom.core.intents.resolver import Resolver

OnResolved = Callable[[Connection, Extrinsic], None]
"""Gets an extrinsic whose outcome is known, in the transaction that stores the outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    extrinsic: Extrinsic
    cause: Unavailable | None = None
    """Why a WITHDRAWN extrinsic was not sent."""


ExtrinsicResolver = Resolver[Change]


class ExtrinsicEffects:
    """The effects of verdicts. `changed()` runs after each commit."""

    def __init__(self, *, on_resolved: OnResolved, changed: Callable[[], None]) -> None:
        self._on_resolved = on_resolved
        self._changed = changed

    def apply(self, connection: Connection, intent: Intent, verdict: Accepted | Rejected | Pending) -> Change:
        """Locks the account first, as signing does: the same order of locks avoids deadlocks."""
        receipt = receipt_of(verdict)
        before = extrinsic_of(intent, receipt)
        if isinstance(verdict, Finalized):
            block = Head(verdict.inclusion.number, verdict.inclusion.hash)
            note_final(connection, before.public_key, before.nonce, block)
        else:
            lock_account(connection, before.public_key)
        _keep_known(connection, intent.id, receipt)
        if receipt != NO_RECEIPT or before.state is State.IN_BLOCK:
            put_receipt(connection, intent.id, receipt)
        after = replace(before, state=State(verdict.stage))
        if after.state.is_resolved:
            self._on_resolved(connection, after)
        return Change(extrinsic=after, cause=verdict.cause if isinstance(verdict, Dead) else None)

    def applied(self, intent: Intent, verdict: Accepted | Rejected | Pending, effect: Change) -> None:
        del intent, verdict, effect
        self._changed()


def _keep_known(connection: Connection, extrinsic_hash: bytes, receipt: Receipt) -> None:
    """Refuses to forget what another process has read meanwhile: its node had the block's events, and ours had deleted them.

    Raises:
        OutcomeUnknown: the stored receipt says more of this block; the next look at the chain begins with it.
    """
    new = receipt.inclusion
    if new is None or new.success is not None:
        return
    stored = load_receipts(connection, [extrinsic_hash]).get(extrinsic_hash, NO_RECEIPT).inclusion
    if stored is not None and stored.hash == new.hash and stored.success is not None:
        raise OutcomeUnknown("Another process has read the block's events meanwhile")
