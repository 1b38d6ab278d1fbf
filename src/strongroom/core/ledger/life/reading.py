"""Finds a payment by any of its names, and reads what is stored of it: rows alone, so that every replica tells the same."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from sqlalchemy import Connection

from strongroom.core.errors import InvalidInput, NotFound
from strongroom.core.guard.approvals import store as approvals
from strongroom.core.guard.approvals.approval import Approval, Purpose
from strongroom.core.intents.intent import Intent
from strongroom.core.intents.payments import executions_of, parse_payment_id, payment_of
from strongroom.core.intents.store import list_intents, load_intent
from strongroom.core.ledger.contract import Ledger
from strongroom.core.ledger.life.facts import Delivery, Facts, Life
from strongroom.core.ledger.life.tale import life_of
from strongroom.core.webhooks.queue import events_of_payment
from strongroom.core.webhooks.store import load_endpoints

MAX_LIVES: Final = 20
"""So many payments of one request, or of one name, are told; the newest."""
MAX_NAME: Final = 190


async def find_lives(ledger: Ledger, name: str, now_ms: int) -> Sequence[Life]:
    """All that the name names: payments, the newest first, then requests with it that wait for approval.

    A client chooses its names, so one name may be a payment's key and another's request: none hides the other.

    Raises:
        NotFound: it names none of this ledger; Unavailable: the database does not answer.
    """
    found = await ledger.database.read(lambda connection: _read(connection, ledger, name, now_ms))
    if not found:
        raise NotFound("This ledger has no payment with this id", code="payment_not_found")
    return [life_of(one, now_ms) for one in found]


def _read(connection: Connection, ledger: Ledger, name: str, now_ms: int) -> list[Facts]:
    if not name or len(name) > MAX_NAME or not name.isprintable():
        return []
    own = approvals.load(connection, name) if name.isascii() else None
    if own is not None and own.purpose is not Purpose.SIGNATURE:
        own = None
    intents = _intents(connection, name, own)
    signed = {intent.id for intent in intents}
    waiting = [one for one in _waiting(connection, name, own, now_ms) if one.payload_id not in signed]
    return [
        *(_facts(connection, ledger, intent, now_ms) for intent in intents),
        *(_unsigned(ledger, one) for one in waiting),
    ]


def _intents(connection: Connection, name: str, own: Approval | None) -> list[Intent]:
    ids = [] if own is None or own.payload_id is None else [own.payload_id]
    with suppress(InvalidInput):
        ids.append(parse_payment_id(name))
    found = [load_intent(connection, one) for one in ids]
    named = [intent for intent in found if intent is not None]
    named += list_intents(connection, limit=MAX_LIVES, client_key=name)
    if name.isascii():
        named += list_intents(connection, limit=MAX_LIVES, request_id=name)
    return sorted({one.id: one for one in named}.values(), key=lambda one: (-one.created_at_ms, one.id))


def _waiting(connection: Connection, name: str, own: Approval | None, now_ms: int) -> list[Approval]:
    """What waits. What has ended is found by the approval's own id alone."""
    ids = [] if own is None else [own.id]
    open_ones = approvals.select_open(connection, Purpose.SIGNATURE, now_ms)
    ids += [one.id for one in open_ones if name in {one.key, one.principal.request_id}][-MAX_LIVES:]
    return approvals.load_many(connection, ids) if ids else []


def _unsigned(ledger: Ledger, approval: Approval) -> Facts:
    """Of a request without a payment: nothing is signed yet, or what it was spent on is not kept."""
    spent_on = approval.payload_id
    network_id = "" if spent_on is None else ledger.definition.network_id(spent_on)
    return Facts(ledger=ledger.definition.name, payment=None, network_id=network_id, approval=approval)


def _facts(connection: Connection, ledger: Ledger, intent: Intent, now_ms: int) -> Facts:
    definition = ledger.definition
    done = executions_of(connection, definition.executions(), [intent])
    payment = payment_of(definition.name, intent, now_ms, done.get(intent.id))
    names = {one.id: one.name for one in load_endpoints(connection)}
    return Facts(
        ledger=definition.name,
        payment=payment,
        network_id=definition.network_id(intent.id),
        approval=None if payment.approval is None else approvals.load(connection, payment.approval),
        deliveries=[
            Delivery(endpoint=names.get(event.endpoint, event.endpoint), event=event)
            for event in events_of_payment(connection, intent.id)
        ],
        tellings=ledger.tellings(connection, intent),
    )
