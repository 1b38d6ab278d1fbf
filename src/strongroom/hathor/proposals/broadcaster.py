"""Broadcasts signed transactions: what the engine of intents asks about them, and what an outcome changes.

When no answer comes the node is asked for the transaction, and the same bytes are pushed again: harmless, a node takes a
transaction once. That ends after two minutes, lest a payment goes out when nobody waits for it any more; from then on the
node is only asked. A transaction counts as failed when the node refuses it and does not have it, or, long after the last
push, does not have it twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from strongroom.core.clock import Clock
from strongroom.core.intents.intent import Accepted, Intent, Outcome, Pending, Rejected, Unknown, Verdict
from strongroom.core.intents.resolver import Pace, Resolver
from strongroom.core.runtime.fault_text import fault_text
from strongroom.core.runtime.telemetry import Metrics
from strongroom.hathor.gateway.push import NotDelivered, Presence, PushNode
from strongroom.hathor.proposals.store import OPEN, SEND_ERROR, SENDING, SENT, finish_broadcast

PUSH_WINDOW_S = 120.0
"""How long a transaction is pushed again."""
GRACE_S = 30.0
"""After it, how long the node must not have the transaction."""
NEVER_ARRIVED = "The node never got it"
PACE: Final = Pace(
    noun="transactions",
    first_pause_s=0.2,
    max_pause_s=10.0,
    pending_pause_s=10.0,
    # Longer than a push waits: whoever was sending it is gone, or is busy asking the node.
    own_s=15.0,
)
ACCEPTED: Final = Accepted(stage=SENT)
Broadcaster = Resolver[None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastResult:
    """`sent`, `send_error`, or `open`: the node was not there and got nothing."""

    status: str
    message: str = ""


def result_of(intent: Intent) -> BroadcastResult:
    """Of a transaction whose outcome is known."""
    if intent.outcome is Outcome.ACCEPTED:
        return BroadcastResult(status=SENT)
    return BroadcastResult(status=intent.stage, message=intent.reason or "")


class TransactionNetwork:
    """The node that takes transactions."""

    def __init__(self, node: PushNode, clock: Clock) -> None:
        self._node = node
        self._clock = clock
        self._absent_since_s: dict[bytes, float] = {}

    async def offer(self, intent: Intent) -> Verdict:
        """Raises: Unavailable: no answer came, or none that says what happened."""
        try:
            refusal = await self._node.push(intent.payload)
        except NotDelivered as error:
            if not intent.is_new:
                raise
            return Rejected(reason=error.message, stage=OPEN, if_unshared=True)
        if refusal is None or await self._node.presence(intent.id.hex()) is Presence.LIVE:
            return ACCEPTED
        return Rejected(reason=refusal, stage=SEND_ERROR)

    async def follow(self, intents: Sequence[Intent]) -> Mapping[bytes, Verdict]:
        known = {intent.id for intent in intents}
        self._absent_since_s = {one: at for one, at in self._absent_since_s.items() if one in known}
        return {intent.id: await self._look(intent) for intent in intents}

    async def _look(self, intent: Intent) -> Verdict:
        is_late = self._clock.now_ms() - intent.created_at_ms > PUSH_WINDOW_S * 1000
        try:
            presence = await self._node.presence(intent.id.hex())
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are followed
            return Pending(stage=SENDING, trouble=fault_text(error))
        if presence is Presence.LIVE:
            return ACCEPTED
        if not is_late:
            return Unknown(why="The node does not have it")
        now_s = self._clock.monotonic_s()
        if now_s - self._absent_since_s.setdefault(intent.id, now_s) < GRACE_S:
            return Pending(stage=SENDING, trouble="The node does not have it; it is not pushed any more")
        return Rejected(reason=NEVER_ARRIVED, stage=SEND_ERROR)


class ProposalEffects:
    """An outcome ends the sending of its proposal."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._clock = clock
        self._outcomes = metrics.counter(
            "hathor_proposals_settled", "Proposals sent or refused, by outcome.", ("outcome",)
        )

    def apply(self, connection: Connection, intent: Intent, verdict: Accepted | Rejected | Pending) -> None:
        if not isinstance(verdict, Pending):
            is_sent = isinstance(verdict, Accepted)
            finish_broadcast(connection, intent, is_sent=is_sent, now_s=self._clock.now_ms() // 1000)

    def applied(self, intent: Intent, verdict: Accepted | Rejected | Pending, effect: None) -> None:
        """Counts what ended."""
        del effect
        if not isinstance(verdict, Pending):
            self._outcomes.labels(intent.stage).inc()
