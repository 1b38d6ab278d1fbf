"""Tells a payment's life: one sentence for each thing that happened, and for each that is still to come. Pure."""

from collections.abc import Iterator
from typing import Final

from strongroom.core.clock import iso_instant
from strongroom.core.guard.approvals.approval import Approval, ApprovalState, needs
from strongroom.core.intents.execution import ExecutionState
from strongroom.core.intents.intent import Outcome
from strongroom.core.intents.payments import PaymentRecord
from strongroom.core.ledger.life.facts import Delivery, Facts, Life, Step, Word
from strongroom.core.ledger.telling import Telling
from strongroom.core.security.access import system_principal
from strongroom.core.webhooks.queue import EventState

SERVICE: Final = system_principal("").name
NOTHING_LOST: Final = "the bytes are stored, and nothing else is signed in their place"
LATE: Final = 2**62


def life_of(facts: Facts, now_ms: int) -> Life:
    steps = [
        *_asking(facts, now_ms),
        *([] if facts.payment is None else _of_payment(facts.payment, facts.network_id)),
        *_telling(facts),
    ]
    return Life(facts=facts, steps=sorted(steps, key=_when))


def _when(step: Step) -> tuple[int, int]:
    """What has no time goes last, and what is still to come behind that."""
    return (step.word is Word.NEXT, LATE if step.at_ms is None else step.at_ms)


def _asking(facts: Facts, now_ms: int) -> Iterator[Step]:
    payment, approval = facts.payment, facts.approval
    request_id: str | None
    if approval is not None:
        asker, request_id, asked_at_ms = (
            approval.principal.name,
            approval.principal.request_id,
            approval.asked_at_ms,
        )
    elif payment is not None:
        asker, request_id, asked_at_ms = payment.principal, payment.request_id, payment.created_at_ms
    else:
        return
    request = f", in the request {request_id}" if request_id else ""
    name = (
        ""
        if payment is None or payment.client_key is None
        else f", which its client calls {payment.client_key}"
    )
    who = "The service itself asked for it, as" if asker.startswith(SERVICE) else "It was asked for by"
    yield Step(word=Word.ASKED, at_ms=asked_at_ms, text=f"{who} {asker}{request}{name}.")
    if approval is not None:
        yield from _approving(approval, now_ms)
        if payment is None and approval.state is ApprovalState.SPENT:
            yield _spent(approval, facts.network_id)


def _approving(approval: Approval, now_ms: int) -> Iterator[Step]:
    wanted = needs(approval.requirements)
    yield Step(
        word=Word.WAITED,
        at_ms=approval.asked_at_ms,
        text=f"It waited as {approval.id} for approvals: {wanted}.",
    )
    for vote in approval.votes:
        yield Step(word=Word.APPROVED, at_ms=vote.at_ms, text=f"{vote.principal} approved it.")
    state = approval.state_at(now_ms)
    why = "" if approval.reason is None else f": {approval.reason}"
    end = iso_instant(approval.expires_at_ms)
    match state:
        case ApprovalState.REFUSED:
            yield Step(
                word=Word.REFUSED,
                at_ms=approval.ended_at_ms,
                text=f"It was refused{why}. Nothing was signed.",
            )
        case ApprovalState.FAILED:
            yield Step(
                word=Word.REFUSED, at_ms=approval.ended_at_ms, text=f"It failed{why}. Nothing was signed."
            )
        case ApprovalState.EXPIRED:
            text = "Its time was over before enough people had approved it. Nothing was signed."
            yield Step(word=Word.REFUSED, at_ms=approval.expires_at_ms, text=text)
        case ApprovalState.PARKED:
            text = f"People approve or refuse {approval.id} until {end}; nothing is signed and no money has moved."
            yield Step(word=Word.NEXT, at_ms=None, text=text)
        case ApprovalState.APPROVED:
            how = (
                "The service signs it within seconds"
                if approval.document is not None
                else "Its client asks again"
            )
            text = f"{how}; until {end} the approval counts, for exactly this{why}."
            yield Step(word=Word.NEXT, at_ms=None, text=text)
        case _:
            return


def _spent(approval: Approval, network_id: str) -> Step:
    """How a request ended whose payment this service does not have, because it is none, or was forgotten."""
    if not network_id:
        return Step(word=Word.TOLD, at_ms=approval.ended_at_ms, text="What it asked for was given out, once.")
    text = f"It was signed, once, as {network_id}. No payment with this id is kept: it is none, or its time is over."
    return Step(word=Word.SIGNED, at_ms=approval.ended_at_ms, text=text)


def _of_payment(payment: PaymentRecord, network_id: str) -> Iterator[Step]:
    rule = (
        "No rule had to allow it, and none forbade it."
        if payment.rule is None
        else f"The rule {payment.rule!r} allowed it."
    )
    yield Step(word=Word.ALLOWED, at_ms=payment.created_at_ms, text=rule)
    text = f"The signed bytes were stored before anybody got them: {payment.kind} {network_id}."
    yield Step(word=Word.SIGNED, at_ms=payment.created_at_ms, text=text)
    yield from _offering(payment)
    match payment.state:
        case Outcome.ACCEPTED:
            word, text = _accepted(payment)
            yield Step(word=word, at_ms=payment.resolved_at_ms, text=text)
        case Outcome.REJECTED:
            text = f"It ended without effect ({payment.stage}): {payment.reason}. Another may take its place."
            yield Step(word=Word.REJECTED, at_ms=payment.resolved_at_ms, text=text)
        case _:
            yield Step(word=Word.NEXT, at_ms=None, text=_next_of(payment))


def _accepted(payment: PaymentRecord) -> tuple[Word, str]:
    has_it, why = f"The ledger has it ({payment.stage})", payment.reason
    match payment.execution:
        case ExecutionState.FAILED:
            return (
                Word.FAILED,
                f"{has_it}, but what it asks for did not happen there: {why}. A fee may be spent.",
            )
        case ExecutionState.UNKNOWN:
            text = f"{has_it}; what it did there is not known: {why}. Look it up before you count on it."
            return Word.UNVERIFIED, text
        case _:
            return Word.CONFIRMED, f"{has_it}."


def _offering(payment: PaymentRecord) -> Iterator[Step]:
    first_ms, last_ms = payment.first_offered_at_ms, payment.last_offered_at_ms
    if first_ms is not None:
        yield Step(word=Word.OFFERED, at_ms=first_ms, text="It was first offered to the network.")
    if last_ms is not None and last_ms != first_ms:
        times = f", {payment.attempts} times in all so far" if payment.attempts > 1 else ""
        yield Step(word=Word.OFFERED, at_ms=last_ms, text=f"The same bytes were last offered then{times}.")
    if payment.last_answer is not None:
        text = f"The network's word when it last stood still: {payment.last_answer}."
        yield Step(word=Word.ANSWERED, at_ms=payment.last_answer_at_ms, text=text)


def _next_of(payment: PaymentRecord) -> str:
    if not payment.attempts:
        return (
            "Its client has the signature and submits it; the service asks the network until it has it or never"
            f" can. Nothing is lost: {NOTHING_LOST}."
        )
    return (
        "A process of the service asks the network, and offers the same bytes again until the network has them or never"
        f" can. Nothing is lost: {NOTHING_LOST}."
    )


def _telling(facts: Facts) -> Iterator[Step]:
    for telling in facts.tellings:
        yield _told(telling)
    for delivery in facts.deliveries:
        yield _delivered(delivery)


def _told(one: Telling) -> Step:
    if one.waits:
        so_far = f"{_times(one.attempts)} so far: {one.trouble}" if one.attempts else one.trouble
        so_far = so_far or "it was not tried yet"
        text = f"{one.to} is told, at least once a minute until it takes it ({so_far}). It is stored, so it is not lost."
        return Step(word=Word.NEXT, at_ms=None, text=text)
    attempt = f" at attempt {one.attempts}" if one.attempts > 1 else ""
    when = "" if one.told_at_ms is not None else "; when is not recorded"
    return Step(word=Word.TOLD, at_ms=one.told_at_ms, text=f"{one.to} took it{attempt}{when}.")


def _delivered(one: Delivery) -> Step:
    event, name = one.event, f"The webhook {one.endpoint}"
    trouble = "" if event.trouble is None else f": {event.trouble}"
    match event.state:
        case EventState.DELIVERED:
            attempt = f" at attempt {event.attempts}" if event.attempts > 1 else ""
            text = f"{name} took {event.kind}{attempt} (status {event.status})."
            return Step(word=Word.TOLD, at_ms=event.ended_at_ms, text=text)
        case EventState.DEAD:
            text = (
                f"{name} did not take {event.kind} for a day{trouble}. It is kept: strongroom webhook replay."
            )
            return Step(word=Word.NEXT, at_ms=None, text=text)
        case _:
            due = iso_instant(event.due_at_ms)
            tried = f" ({_times(event.attempts)} so far{trouble})" if event.attempts else ""
            text = f"{name} is told {event.kind}, not before {due}{tried}. It is stored, so it is not lost."
            return Step(word=Word.NEXT, at_ms=None, text=text)


def _times(attempts: int) -> str:
    return "one attempt" if attempts == 1 else f"{attempts} attempts"
