"""Broadcasts signed transactions: it answers the questions of the engine of intents, and applies an outcome.

When no answer comes, the engine asks the node for the transaction and pushes the same bytes again. That does no harm: a
node takes a transaction once. The pushes end after two minutes, so that no payment goes out when nobody waits for it any
more; from then on the node is only asked. A transaction counts as failed when

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
from strongroom.hathor.proposals.store import SENDING, finish_broadcast
from strongroom.hathor.tables import OPEN, SEND_ERROR, SENT

PUSH_WINDOW_S = 120.0
"""For so long the engine pushes a transaction again."""
GRACE_S = 30.0
"""After the last push, the node must not have the transaction for so long before it counts as failed."""
FORGOTTEN_S = 300.0
"""An absence that nobody asked about for so long is forgotten: the transaction is resolved, or its watch begins anew."""
NEVER_ARRIVED = "The node never got it"
PACE: Final = Pace(
    noun="transactions",
    ledger="hathor",
    first_pause_s=0.2,
    max_pause_s=10.0,
    pending_pause_s=10.0,
    questions_at_once=8,
    # Longer than a push waits: the process that was sending it is gone, or is asking the node.
    own_s=15.0,
)
ACCEPTED: Final = Accepted(stage=SENT)
Broadcaster = Resolver[None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastResult:
    """The status for the caller: `sent`, `send_error`, or `open` where the node was away and got nothing."""

    status: str
    message: str = ""


def result_of(intent: Intent) -> BroadcastResult:
    """Returns the result of a transaction whose outcome is known."""
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
    """What the engine asks of the node: to take a transaction, and whether it has it."""

    def __init__(self, node: PushNode, clock: Clock) -> None:
        self._node = node
        self._clock = clock
        self._absences: dict[bytes, _Absence] = {}

    async def offer(self, intent: Intent) -> Verdict:
        """Pushes the transaction. Raises: Unavailable: no answer comes, or none that says what happened."""
        age_s = self._age_s(intent)
        if age_s > PUSH_WINDOW_S or (intent.is_new and age_s > PACE.own_s):
            # This process stood still since it looked. Others have taken it up, and may have seen its end.
            return Unknown(why="The moment to push it is over")
        try:
            refusal = await self._node.push(intent.payload)
        except NotDelivered as error:
            # These bytes did not reach the node; bytes of an earlier push may, and the engine sees to that.
            return Rejected(reason=error.message, stage=OPEN, if_unshared=True)
        # A node also refuses what it has already, so a refusal alone decides nothing.
        if refusal is None or await self._node.presence(intent.id.hex()) is Presence.LIVE:
            return ACCEPTED
        if intent.is_new:
            return Rejected(reason=refusal, stage=SEND_ERROR, if_unshared=True)
        self._note_absence(intent, refusal)
        return Pending(
            stage=SENDING, trouble=f"The node refuses it, and may get an earlier push yet: {refusal}"
        )

    async def follow(self, intents: Sequence[Intent]) -> Mapping[bytes, Verdict]:
        """Asks about all at once: a question that waits for its answer keeps no other transaction waiting."""
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
        # After a refusal the bytes are not pushed again, even within the window: only their absence counts from then on.
        if not is_late and refusal is None:
            return Unknown(why="The node does not have it")
        absence = self._note_absence(intent, refusal)
        # A node that lags or has just started may lack it at one moment and have it at the next.
        if absence.asked_s - absence.since_s < GRACE_S:
            return Pending(stage=SENDING, trouble="The node does not have it; it is not pushed any more")
        return Rejected(reason=refusal or NEVER_ARRIVED, stage=SEND_ERROR, if_unshared=True, is_presumed=True)

    def _refusal(self, intent: Intent) -> str | None:
        known = self._absences.get(intent.id)
        return known.refusal if known is not None and known.attempts == intent.attempts else None

    def _note_absence(self, intent: Intent, refusal: str | None) -> _Absence:
        """Notes that the node does not have the transaction now, and returns since when; old absences are forgotten."""
        now_s = self._clock.monotonic_s()
        self._absences = {
            one: absence for one, absence in self._absences.items() if now_s - absence.asked_s < FORGOTTEN_S
        }
        known = self._absences.get(intent.id)
        # An absence from before another push proves nothing about that push, so it starts anew.
        since_s = known.since_s if known is not None and known.attempts == intent.attempts else now_s
        noted = _Absence(attempts=intent.attempts, refusal=refusal, since_s=since_s, asked_s=now_s)
        self._absences[intent.id] = noted
        return noted

    def _age_s(self, intent: Intent) -> float:
        return (self._clock.now_ms() - intent.created_at_ms) / 1000


class ProposalEffects:
    """What an outcome changes: it ends the sending of its proposal."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._clock = clock
        self._outcomes = metrics.counter(
            "strongroom_hathor_proposals_settled", "Proposals sent or refused, by outcome.", ("outcome",)
        )

    def apply(self, connection: Connection, intent: Intent, verdict: Accepted | Rejected | Pending) -> None:
        if not isinstance(verdict, Pending):
            is_sent = isinstance(verdict, Accepted)
            finish_broadcast(connection, intent, is_sent=is_sent, now_s=self._clock.now_ms() // 1000)

    def applied(self, intent: Intent, verdict: Accepted | Rejected | Pending, effect: None) -> None:
        """Counts the outcome."""
        del effect
        if not isinstance(verdict, Pending):
            self._outcomes.labels(intent.stage).inc()
