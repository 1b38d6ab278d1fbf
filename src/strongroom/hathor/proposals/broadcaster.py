"""Broadcasts signed transactions: what the engine of intents asks about them, and what an outcome changes.

When no answer comes the node is asked for the transaction, and the same bytes are pushed again: harmless, a node takes a
transaction once. That ends after two minutes, lest a payment goes out when nobody waits for it any more; from then on the
node is only asked. A transaction counts as failed when the node refuses it and does not have it, or, long after the last
push, does not have it twice.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

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
FORGOTTEN_S = 300.0
"""An absence that nobody asked about for so long is over: the transaction is resolved, or asked about anew."""
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


class _Absence(NamedTuple):
    since_s: float
    asked_s: float


class TransactionNetwork:
    """The node that takes transactions."""

    def __init__(self, node: PushNode, clock: Clock) -> None:
        self._node = node
        self._clock = clock
        self._absences: dict[bytes, _Absence] = {}

    async def offer(self, intent: Intent) -> Verdict:
        """Raises: Unavailable: no answer came, or none that says what happened."""
        try:
            refusal = await self._node.push(intent.payload)
        except NotDelivered as error:
            return Rejected(reason=error.message, stage=OPEN, if_unshared=True)
        if refusal is None or await self._node.presence(intent.id.hex()) is Presence.LIVE:
            return ACCEPTED
        return Rejected(reason=refusal, stage=SEND_ERROR)

    async def follow(self, intents: Sequence[Intent]) -> Mapping[bytes, Verdict]:
        """At once: a question that waits for its answer keeps no other transaction waiting."""
        verdicts = await asyncio.gather(*(self._look(intent) for intent in intents))
        return {intent.id: verdict for intent, verdict in zip(intents, verdicts, strict=True)}

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
        if self._absent_for_s(intent) < GRACE_S:
            return Pending(stage=SENDING, trouble="The node does not have it; it is not pushed any more")
        return Rejected(reason=NEVER_ARRIVED, stage=SEND_ERROR)

    def _absent_for_s(self, intent: Intent) -> float:
        """How long the node has not had it, as far as it was asked; what nobody asks about any more is forgotten."""
        now_s = self._clock.monotonic_s()
        self._absences = {
            one: absence for one, absence in self._absences.items() if now_s - absence.asked_s < FORGOTTEN_S
        }
        since_s = self._absences[intent.id].since_s if intent.id in self._absences else now_s
        self._absences[intent.id] = _Absence(since_s=since_s, asked_s=now_s)
        return now_s - since_s


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
