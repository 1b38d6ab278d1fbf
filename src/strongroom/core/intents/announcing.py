"""Announces what is signed and the outcomes of intents, in the transactions that store them."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, Generic, TypeVar

from prometheus_client import Histogram
from sqlalchemy import Connection

from strongroom.core.announcements import Announcement, Announcer
from strongroom.core.intents.execution import Execution, ExecutionState
from strongroom.core.intents.intent import Accepted, Intent, Outcome, Pending, Rejected
from strongroom.core.intents.network import Effects
from strongroom.core.intents.payments import Paid, payment_of
from strongroom.core.intents.store import load_intent
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.security.policy import Granted

R = TypeVar("R")
SIGNED: Final = "payment.signed"
CONFIRMED: Final = "payment.confirmed"
FAILED: Final = "payment.failed"
UNVERIFIED: Final = "payment.unverified"
REJECTED: Final = "payment.rejected"
ABANDONED: Final = "payment.abandoned"
_KINDS: Final = {
    ExecutionState.SUCCEEDED: CONFIRMED,
    ExecutionState.FAILED: FAILED,
    ExecutionState.UNKNOWN: UNVERIFIED,
}
_OUTCOMES: Final = {
    CONFIRMED: "accepted",
    FAILED: "failed",
    UNVERIFIED: "unverified",
    REJECTED: "rejected",
}
"""How the metric calls what each kind tells."""


class PaymentEvents:
    """The events of one ledger's payments."""

    def __init__(self, ledger: str, network_id: Callable[[bytes], str], announcer: Announcer) -> None:
        """`network_id`: how the network's people write the id of a payment."""
        self._ledger = ledger
        self._network_id = network_id
        self._announcer = announcer
        self._seconds: Histogram | None = None

    def measure(self, metrics: Metrics) -> None:
        """Measures outcomes from now on."""
        self._seconds = metrics.payment_seconds

    def observe(self, intent: Intent, verdict: Accepted | Rejected) -> None:
        """An outcome of an intent was stored."""
        if self._seconds is not None and intent.resolved_at_ms is not None:
            took_ms = max(0, intent.resolved_at_ms - intent.created_at_ms)
            self._seconds.labels(self._ledger, _OUTCOMES[_kind_of(verdict)]).observe(took_ms / 1000)

    def signed(self, connection: Connection, granted: Granted, payload_id: bytes) -> None:
        """See `core.security.policy.Teller`."""
        if not self._announcer.wants(connection, SIGNED):
            return
        request = granted.request
        data = {
            "id": self._network_id(payload_id),
            "state": Outcome.OPEN.value,
            "stage": "signed",
            "execution": None,
            "reason": None,
            "wallet": request.wallet,
            "account": request.account,
            "kind": request.kind,
            "amountRaw": str(request.amount_raw) if request.is_amount_known else None,
            "payments": _payments(
                [
                    Paid(destination=one.destination, amount_raw=str(one.amount_raw), asset=one.asset)
                    for one in request.payments
                ]
            ),
            "principal": request.principal.name,
            "rule": granted.rule,
            "approval": granted.allowed.approval,
            "requestId": request.principal.request_id or None,
        }
        signed = Announcement(
            kind=SIGNED, stream=request.account, wallet=request.wallet, data=data, payment=payload_id
        )
        self._announcer.announce(connection, [signed])

    def around(self, effects: Effects[R]) -> "AnnouncedEffects[R]":
        """The effects of outcomes, which are announced."""
        return AnnouncedEffects(effects, self)

    def ended(self, connection: Connection, intent: Intent, verdict: Accepted | Rejected) -> None:
        kind = _kind_of(verdict)
        # An outcome that overrules another one is another fact, also where the one before that was the same.
        again = "" if intent.is_open else f":{intent.resolved_at_ms}"
        if self._announcer.wants(connection, kind):
            self._announce(connection, kind, intent, verdict, key=again)

    def changed(
        self, connection: Connection, kind: str, intent_id: bytes, execution: Execution, *, key: str
    ) -> None:
        """A ledger's own kind of event, of what became of a payment after the ledger had it; no event of any other id.

        `key` names the change among those of the payment.
        """
        intent = load_intent(connection, intent_id)
        if intent is not None and intent.outcome is Outcome.ACCEPTED:
            verdict = Accepted(stage=intent.stage, execution=execution)
            self._announce(connection, kind, intent, verdict, key=key)

    def wants(self, connection: Connection, kind: str) -> bool:
        return self._announcer.wants(connection, kind)

    def abandoned(self, connection: Connection, intent_ids: Collection[bytes]) -> None:
        """Of intents that an operator gave up, after they were stored as rejected."""
        if intent_ids and self._announcer.wants(connection, ABANDONED):
            for intent_id in intent_ids:
                intent = load_intent(connection, intent_id)
                if intent is not None:
                    verdict = Rejected(stage=intent.stage, reason=intent.reason or "")
                    self._announce(connection, ABANDONED, intent, verdict)

    def _announce(
        self,
        connection: Connection,
        kind: str,
        intent: Intent,
        verdict: Accepted | Rejected,
        *,
        key: str = "",
    ) -> None:
        execution = verdict.execution if isinstance(verdict, Accepted) else None
        reason = verdict.reason if isinstance(verdict, Rejected) else None
        payment = payment_of(self._ledger, intent, intent.created_at_ms)
        alone = Paid(destination=payment.destination, amount_raw=payment.amount_raw or "0")
        paid = payment.payments or ((alone,) if payment.destination is not None else ())
        data = {
            "id": self._network_id(intent.id),
            "state": (Outcome.ACCEPTED if isinstance(verdict, Accepted) else Outcome.REJECTED).value,
            "stage": verdict.stage,
            "execution": None if execution is None else execution.state.value,
            "reason": reason if execution is None else execution.reason,
            "wallet": payment.wallet,
            "account": payment.account,
            "kind": payment.kind,
            "amountRaw": payment.amount_raw,
            "payments": _payments(paid),
            "principal": payment.principal,
            "rule": payment.rule,
            "approval": payment.approval,
            "requestId": intent.request_id or None,
        }
        # The same bytes may be signed again after they were rejected, which is another fact.
        key = f"{intent.id.hex()}:{intent.created_at_ms}{key}"
        said = Announcement(
            kind=kind,
            stream=intent.account,
            wallet=payment.wallet,
            data=data,
            key=key,
            payment=intent.id,
        )
        self._announcer.announce(connection, [said])


class AnnouncedEffects(Generic[R]):
    """A ledger's effects, with each outcome announced behind what they announce themselves."""

    def __init__(self, effects: Effects[R], events: PaymentEvents) -> None:
        self._effects = effects
        self._events = events

    def apply(self, connection: Connection, intent: Intent, verdict: Accepted | Rejected | Pending) -> R:
        """If the verdict changes nothing after all, the transaction is undone, and the announcement with it."""
        effect = self._effects.apply(connection, intent, verdict)
        if not isinstance(verdict, Pending):
            self._events.ended(connection, intent, verdict)
        return effect

    def applied(self, intent: Intent, verdict: Accepted | Rejected | Pending, effect: R) -> None:
        if not isinstance(verdict, Pending):
            self._events.observe(intent, verdict)
        self._effects.applied(intent, verdict, effect)


def _kind_of(verdict: Accepted | Rejected) -> str:
    if isinstance(verdict, Rejected):
        return REJECTED
    return CONFIRMED if verdict.execution is None else _KINDS[verdict.execution.state]


def _payments(paid: Sequence[Paid]) -> list[dict[str, Any]]:
    return [{"destination": one.destination, "amountRaw": one.amount_raw, "asset": one.asset} for one in paid]
