"""Lists the payments of one ledger for people: every signed intent, with who asked for it, and how far it has come.

A page is stable while payments are added: it names the last payment of the page before, and never counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection

from strongroom.core.clock import Clock, iso_instant
from strongroom.core.errors import InvalidInput, NotFound
from strongroom.core.intents.execution import Execution, Executions, ExecutionState
from strongroom.core.intents.intent import APPROVAL, Intent, Outcome
from strongroom.core.intents.store import count_signed, list_intents, load_intent
from strongroom.core.storage.database import Database

MAX_PAGE: Final = 500
ID_BYTES: Final = 32
STUCK_AFTER_MS: Final = 60_000
"""Health is DEGRADED by default when a payment is open for longer than this."""
UNREAD: Final = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """What one destination gets."""

    destination: str | None
    amount_raw: str
    asset: str = ""
    """Empty for the ledger's own coin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRecord:
    """An intent as people read it."""

    id: bytes
    ledger: str
    wallet: str
    """Empty: it was not recorded."""
    account: str
    kind: str
    amount_raw: str | None
    """None: it was not recorded, or the payload does not say."""
    destination: str | None
    payments: tuple[Paid, ...]
    """Where it pays several, or another asset than the ledger's own coin."""
    state: Outcome
    stage: str
    """The ledger's word for how far it has come."""
    execution: ExecutionState | None = None
    """What the ledger did with it; None: the ledger does not have it for good yet, or what it accepts has its effect."""
    reason: str | None
    """Why it was rejected, why it is still open, or why it failed on the ledger."""
    is_stuck: bool
    principal: str
    token: str | None
    rule: str | None
    approval: str | None
    """The id of the request that people approved, and which this payment spent."""
    attempts: int
    created_at_ms: int
    resolved_at_ms: int | None
    request_id: str | None = None
    """None: no request had it signed, or it was not recorded."""
    client_key: str | None = None
    """What its client called the request, for example its Idempotency-Key."""
    first_offered_at_ms: int | None = None
    """As far as this service knows; None: nothing is noted yet."""
    last_offered_at_ms: int | None = None
    last_answer: str | None = None
    """Why the network's last word did not end it."""
    last_answer_at_ms: int | None = None
    details: dict[str, Any] = field(default_factory=dict)
    """What else the ledger noted when it was signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFilter:
    """None: all."""

    wallet: str | None = None
    account: str | None = None
    state: Outcome | None = None
    execution: ExecutionState | None = None
    """Of those that the ledger has; a ledger where all of these had their effect has no match."""
    kind: str | None = None
    principal: str | None = None
    token: str | None = None
    rule: str | None = None
    request_id: str | None = None
    since_ms: int = 0
    until_ms: int | None = None
    is_stuck: bool = False
    """Open for longer than a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """The last payment that a reader has seen."""

    created_at_ms: int
    id: bytes


class Payments:
    """The payments of one ledger."""

    def __init__(
        self, ledger: str, database: Database, clock: Clock, executions: Executions | None = None
    ) -> None:
        """`executions`: what the ledger did with what it has; None: all of it had its effect."""
        self._ledger = ledger
        self._database = database
        self._clock = clock
        self._executions = executions

    async def page(
        self, wanted: PaymentFilter, *, after: Position | None = None, limit: int = 100
    ) -> Sequence[PaymentRecord]:
        """Newest first, from the one after `after` on."""
        now_ms = self._clock.now_ms()
        latest_ms = UNREAD if wanted.until_ms is None else wanted.until_ms - 1
        state = wanted.state
        if wanted.is_stuck:
            if state not in {None, Outcome.OPEN}:
                return ()
            state, latest_ms = Outcome.OPEN, min(latest_ms, now_ms - STUCK_AFTER_MS)
        having = None
        if wanted.execution is not None:
            if self._executions is None or state not in {None, Outcome.ACCEPTED}:
                return ()
            state, having = Outcome.ACCEPTED, self._executions.having(wanted.execution)

        def work(connection: Connection) -> list[PaymentRecord]:
            intents = list_intents(
                connection,
                since_ms=wanted.since_ms,
                latest_ms=latest_ms,
                after=None if after is None else (after.created_at_ms, after.id),
                limit=limit,
                outcome=None if state is None else state.value,
                wallet=wanted.wallet,
                account=wanted.account,
                kind=wanted.kind,
                principal=wanted.principal,
                token=wanted.token,
                rule=wanted.rule,
                request_id=wanted.request_id,
                having=having,
            )
            done = executions_of(connection, self._executions, intents)
            return [payment_of(self._ledger, one, now_ms, done.get(one.id)) for one in intents]

        return await self._database.read(work)

    async def signed(self, since_ms: int, part_ms: int, parts: int) -> list[int]:
        """How many were signed in each part of the time from `since_ms` on."""
        until_ms = since_ms + parts * part_ms
        found = await self._database.read(
            lambda connection: count_signed(connection, since_ms, until_ms, part_ms)
        )
        return [found.get(number, 0) for number in range(parts)]

    async def get(self, payment_id: bytes) -> PaymentRecord:
        """Raises: NotFound."""
        now_ms = self._clock.now_ms()

        def work(connection: Connection) -> PaymentRecord | None:
            intent = load_intent(connection, payment_id)
            if intent is None:
                return None
            done = executions_of(connection, self._executions, [intent])
            return payment_of(self._ledger, intent, now_ms, done.get(intent.id))

        found = await self._database.read(work)
        if found is None:
            raise NotFound("This ledger has no payment with this id", code="payment_not_found")
        return found


def executions_of(
    connection: Connection, executions: Executions | None, intents: Iterable[Intent]
) -> Mapping[bytes, Execution]:
    """What the ledger did with those of them that it has, in one query."""
    accepted = [one.id for one in intents if one.outcome is Outcome.ACCEPTED]
    return executions.load(connection, accepted) if executions is not None and accepted else {}


def payment_of(ledger: str, intent: Intent, now_ms: int, execution: Execution | None = None) -> PaymentRecord:
    details = intent.notes
    is_stuck = intent.is_open and intent.created_at_ms <= now_ms - STUCK_AFTER_MS
    amount_raw, destination = details.pop("amountRaw", None), details.pop("destination", None)
    paid = [
        Paid(destination=one["destination"], amount_raw=one["amountRaw"], asset=one["asset"])
        for one in details.pop("payments", ())
    ]
    details.pop("kind", None)
    return PaymentRecord(
        id=intent.id,
        ledger=ledger,
        wallet=intent.wallet,
        account=intent.account,
        kind=intent.kind,
        amount_raw=amount_raw,
        destination=destination,
        payments=tuple(paid),
        state=intent.outcome,
        stage=intent.stage,
        execution=None if execution is None else execution.state,
        reason=_reason_of(intent, execution),
        is_stuck=is_stuck,
        principal=intent.principal,
        token=intent.token,
        rule=intent.rule,
        approval=details.pop(APPROVAL, None),
        attempts=intent.attempts,
        created_at_ms=intent.created_at_ms,
        resolved_at_ms=intent.resolved_at_ms,
        request_id=intent.request_id or None,
        client_key=intent.client_key or None,
        first_offered_at_ms=intent.first_offered_at_ms,
        last_offered_at_ms=intent.last_offered_at_ms,
        last_answer=intent.last_answer,
        last_answer_at_ms=intent.last_answer_at_ms,
        details=details,
    )


def _reason_of(intent: Intent, execution: Execution | None) -> str | None:
    if intent.is_open:
        return _waits_for(intent)
    return intent.reason if execution is None else execution.reason


def _waits_for(intent: Intent) -> str:
    if not intent.attempts:
        return "The client got the signature and submits it; the network has not shown it yet"
    times = "once" if intent.attempts == 1 else f"{intent.attempts} times"
    word = "" if intent.last_answer is None else f" ({intent.last_answer})"
    return f"Offered {times}; the network has neither shown it nor proven that it never will{word}"


def newest_first(found: Iterable[PaymentRecord]) -> list[PaymentRecord]:
    """Payments of several ledgers in one order; of each ledger in that of its pages."""
    falling = sorted(found, key=lambda one: one.id, reverse=True)
    return sorted(falling, key=lambda one: (-one.created_at_ms, one.ledger))


def parse_payment_id(text: str) -> bytes:
    """Raises: InvalidInput: it is no id of any network."""
    digits = text.removeprefix("0x")
    try:
        payment_id = bytes.fromhex(digits)
    except ValueError:
        payment_id = b""
    if len(payment_id) != ID_BYTES or len(digits) != 2 * ID_BYTES:
        raise InvalidInput("The id of a payment has 64 hexadecimal digits", code="invalid_payment_id")
    return payment_id


def document_of(one: PaymentRecord, network_id: str) -> dict[str, Any]:
    """For programs. `network_id`: the id as the network's people write it."""
    return {
        "id": network_id,
        "ledger": one.ledger,
        "state": one.state.value,
        "stage": one.stage,
        "execution": None if one.execution is None else one.execution.value,
        "reason": one.reason,
        "stuck": one.is_stuck,
        "kind": one.kind,
        "wallet": one.wallet,
        "account": one.account,
        "amountRaw": one.amount_raw,
        "destination": one.destination,
        "payments": [
            {"destination": each.destination, "amountRaw": each.amount_raw, "asset": each.asset}
            for each in one.payments
        ],
        "principal": one.principal,
        "token": one.token,
        "rule": one.rule,
        "approval": one.approval,
        "attempts": one.attempts,
        "createdAt": iso_instant(one.created_at_ms),
        "resolvedAt": _moment(one.resolved_at_ms),
        "requestId": one.request_id,
        "clientKey": one.client_key,
        "firstOfferedAt": _moment(one.first_offered_at_ms),
        "lastOfferedAt": _moment(one.last_offered_at_ms),
        "lastAnswer": one.last_answer,
        "lastAnswerAt": _moment(one.last_answer_at_ms),
        "details": one.details,
    }


def _moment(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso_instant(at_ms)
