"""Broadcasts signed transactions: what the engine of intents asks about them, and what an outcome changes.

When no answer comes the node is asked for the transaction, and the same bytes are pushed again: harmless, a node takes a
transaction once. That ends after two minutes, lest a payment goes out when nobody waits for it any more; from then on the
node is only asked. A transaction counts as failed when

* the node refuses the only push there was, and does not have it;
* or nobody pushes it any more, and the node does not have it for half a minute after the last push. A push whose answer was
  lost may arrive late, also after a node that is behind has refused the next one: so a refusal then only ends the pushing.
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
    attempts: int
    """Counted pushes: after another one the absence begins anew."""
    refusal: str | None
    """What the node said to the last push; None: nothing."""
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
        age_s = self._age_s(intent)
        if age_s > PUSH_WINDOW_S or (intent.is_new and age_s > PACE.own_s):
            # This process stood still since it looked. Others have taken it up, and may have seen its end.
            return Unknown(why="The moment to push it is over")
        try:
            refusal = await self._node.push(intent.payload)
        except NotDelivered as error:
            return Rejected(reason=error.message, stage=OPEN, if_unshared=True)
        if refusal is None or await self._node.presence(intent.id.hex()) is Presence.LIVE:
            return ACCEPTED
        if intent.is_new:
            return Rejected(reason=refusal, stage=SEND_ERROR, if_unshared=True)
        self._note_absence(intent, refusal)
        return Pending(
            stage=SENDING, trouble=f"The node refuses it, and may get an earlier push yet: {refusal}"
        )

    async def follow(self, intents: Sequence[Intent]) -> Mapping[bytes, Verdict]:
        """At once: a question that waits for its answer keeps no other transaction waiting."""
        verdicts = await asyncio.gather(*(self._look(intent) for intent in intents))
        return {intent.id: verdict for intent, verdict in zip(intents, verdicts, strict=True)}

    async def _look(self, intent: Intent) -> Verdict:
        is_late = self._age_s(intent) > PUSH_WINDOW_S
        try:
            presence = await self._node.presence(intent.id.hex())
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are followed
            return Pending(stage=SENDING, trouble=fault_text(error))
        if presence is Presence.LIVE:
            return ACCEPTED
        refusal = self._refusal(intent)
        if not is_late and refusal is None:
            return Unknown(why="The node does not have it")
        absence = self._note_absence(intent, refusal)
        if absence.asked_s - absence.since_s < GRACE_S:
            return Pending(stage=SENDING, trouble="The node does not have it; it is not pushed any more")
        return Rejected(reason=refusal or NEVER_ARRIVED, stage=SEND_ERROR, if_unshared=True)

    def _refusal(self, intent: Intent) -> str | None:
        known = self._absences.get(intent.id)
        return known.refusal if known is not None and known.attempts == intent.attempts else None

    def _note_absence(self, intent: Intent, refusal: str | None) -> _Absence:
        """How long the node has not had it, as far as it was asked; what nobody asks about any more is forgotten."""
        now_s = self._clock.monotonic_s()
        self._absences = {
            one: absence for one, absence in self._absences.items() if now_s - absence.asked_s < FORGOTTEN_S
        }
        known = self._absences.get(intent.id)
        since_s = known.since_s if known is not None and known.attempts == intent.attempts else now_s
        noted = _Absence(attempts=intent.attempts, refusal=refusal, since_s=since_s, asked_s=now_s)
        self._absences[intent.id] = noted
        return noted

    def _age_s(self, intent: Intent) -> float:
        return (self._clock.now_ms() - intent.created_at_ms) / 1000


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
