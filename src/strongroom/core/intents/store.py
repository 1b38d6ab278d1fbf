"""Stores and loads intents. Every function runs in the caller's transaction.

OPEN ──> ACCEPTED
 └─────> REJECTED ──> OPEN       the same bytes are adopted or signed again
                 └──> ACCEPTED   the ledger has the payload after all

What a signature counted in the windows of rules is given back when the intent is REJECTED with proof, and counted again when the
ledger has the payload after all. Without proof it stays counted for good: then `counted` is NULL from there on.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    bindparam,
    case,
    delete,
    func,
    select,
    update,
)

from strongroom.core.chunks import chunks
from strongroom.core.coordination.windows import count_again, give_back
from strongroom.core.intents.intent import Accepted, Intent, Outcome, Pending, Rejected
from strongroom.core.intents.tables import intent as table
from strongroom.core.storage.errors import Duplicate
from strongroom.core.storage.statements import execute, insert_of

_COLUMNS = table.c
# A client may submit what it was lent at any time: that counts as an offer that may still arrive.
_OFFERS_LEFT = case((_COLUMNS.attempts == 0, 1), else_=_COLUMNS.attempts)
# Every payment runs these statements. They are built once, because building one costs as much as executing it.
_INSERT = insert_of(table)
_BY_ID = select(table).where(_COLUMNS.id == bindparam("intent_id"))
_BY_SLOT = select(table).where(_COLUMNS.slot == bindparam("wanted_slot"))
_OPEN_IDS = (
    select(_COLUMNS.id)
    .where(_COLUMNS.outcome == Outcome.OPEN, _COLUMNS.created_at_ms <= bindparam("latest_ms"))
    .order_by(_COLUMNS.created_at_ms)
)
_REJECTED_IDS = select(_COLUMNS.id).where(
    _COLUMNS.outcome == Outcome.REJECTED, _COLUMNS.created_at_ms >= bindparam("since_ms")
)
_OPEN_SLOTS = (
    select(table)
    .where(
        _COLUMNS.slot >= bindparam("first"),
        _COLUMNS.slot <= bindparam("last"),
        _COLUMNS.outcome == Outcome.OPEN,
    )
    .order_by(_COLUMNS.created_at_ms)
)
_SAME_OPEN = (
    _COLUMNS.id == bindparam("intent_id"),
    _COLUMNS.outcome == Outcome.OPEN,
    # The time tells an intent from itself after it was rejected and opened again: an old verdict must not reject the new one.
    _COLUMNS.created_at_ms == bindparam("known_created_at_ms"),
)
# What the process knows of its offers goes with whatever it stores anyway; where it knows nothing, what is stored stays.
_OFFERS = {
    "first_offered_at_ms": func.coalesce(
        _COLUMNS.first_offered_at_ms, bindparam("known_first_ms", type_=BigInteger)
    ),
    "last_offered_at_ms": func.coalesce(
        bindparam("known_last_ms", type_=BigInteger), _COLUMNS.last_offered_at_ms
    ),
}
_ACCEPT = (
    update(table)
    .where(
        _COLUMNS.id == bindparam("intent_id"),
        _COLUMNS.outcome == bindparam("known_outcome"),
        # Signed again, the same bytes may be another request's: what this one would change is not what is due.
        _COLUMNS.created_at_ms == bindparam("known_created_at_ms"),
    )
    .values(
        outcome=Outcome.ACCEPTED,
        stage=bindparam("new_stage"),
        reason=None,
        resolved_at_ms=bindparam("now_ms"),
        **_OFFERS,
    )
)
_REJECT = (
    update(table)
    .where(*_SAME_OPEN)
    .values(
        outcome=Outcome.REJECTED,
        slot=None,
        attempts=_OFFERS_LEFT,
        stage=bindparam("new_stage"),
        reason=bindparam("new_reason"),
        resolved_at_ms=bindparam("now_ms"),
        **_OFFERS,
    )
)
_REJECT_UNSHARED = _REJECT.where(_COLUMNS.attempts == bindparam("known_attempts"))
# Its answer ended the only offer, so none is under way when the same bytes are signed again.
_REJECT_ONLY_OFFER = _REJECT_UNSHARED.values(attempts=0)
_MOVE = (
    update(table)
    .where(*_SAME_OPEN, _COLUMNS.stage == bindparam("known_stage"))
    .values(stage=bindparam("new_stage"), **_OFFERS)
)
_KEEP_COUNTED = update(table).where(_COLUMNS.id == bindparam("intent_id")).values(counted=None)
_COUNT_ATTEMPT = update(table).where(*_SAME_OPEN).values(attempts=_COLUMNS.attempts + 1, **_OFFERS)
_NOTE_ANSWER = (
    update(table)
    .where(*_SAME_OPEN)
    .values(last_answer=bindparam("new_answer"), last_answer_at_ms=bindparam("now_ms"), **_OFFERS)
)
_TELL = (
    update(table)
    .where(_COLUMNS.id == bindparam("intent_id"))
    .values(told_at_ms=bindparam("now_ms"), told_attempts=bindparam("new_attempts"))
)
_MAX_IN = 500


def adopt(connection: Connection, intent: Intent) -> Intent:
    """Stores a signed payload before it is submitted, and returns the intent as stored.

    A payload that was REJECTED becomes OPEN again, and its time is later than before, whatever the clock of this process says:
    the time tells one signature from the next. One that is already OPEN or ACCEPTED is returned unchanged, with `is_new`
    false.

    Raises:
        Duplicate: another payload has the slot.
    """
    try:
        execute(connection, _INSERT, *_row(intent).values())
    except Duplicate:
        # The same bytes can come again: a client repeats a refused payload, or a block is built again with the same timestamp.
        attempts = _COLUMNS.attempts + 1 if intent.attempts else 0
        created = _COLUMNS.created_at_ms
        later_ms = case((created >= intent.created_at_ms, created + 1), else_=intent.created_at_ms)
        again = {**_row(intent), "attempts": attempts, "created_at_ms": later_ms}
        rejected = (_COLUMNS.id == intent.id, _COLUMNS.outcome == Outcome.REJECTED)
        is_reopened = connection.execute(update(table).where(*rejected).values(again)).rowcount > 0
        stored = load_intent(connection, intent.id)
        if stored is None:
            raise  # another payload has the slot
        return replace(stored, is_new=is_reopened)
    return replace(intent, is_new=True)


def load_intent(connection: Connection, intent_id: bytes) -> Intent | None:
    row = connection.execute(_BY_ID, {"intent_id": intent_id}).first()
    return None if row is None else intent_of(row)


def load_by_slot(connection: Connection, slot: bytes) -> Intent | None:
    """The intent that has the slot, OPEN or ACCEPTED; None if the slot is free."""
    row = connection.execute(_BY_SLOT, {"wanted_slot": slot}).first()
    return None if row is None else intent_of(row)


def load_open(
    connection: Connection, *, latest_ms: int = 2**62, without: Collection[bytes] = ()
) -> list[Intent]:
    """The OPEN intents that were stored until `latest_ms`, oldest first, without those with an id in `without`."""
    ids = [
        found
        for found in connection.execute(_OPEN_IDS, {"latest_ms": latest_ms}).scalars()
        if found not in without
    ]
    by_id: dict[bytes, Intent] = {}
    for some in chunks(ids, _MAX_IN):
        query = select(table).where(_COLUMNS.id.in_(some))
        by_id |= {row.id: intent_of(row) for row in connection.execute(query)}
    return [by_id[one] for one in ids if one in by_id]


def list_rejected(connection: Connection, since_ms: int) -> list[bytes]:
    """The ids of REJECTED intents that were stored since then."""
    return list(connection.execute(_REJECTED_IDS, {"since_ms": since_ms}).scalars())


def load_open_slots(connection: Connection, first: bytes, last: bytes) -> list[Intent]:
    """The OPEN intents that have slots from `first` to `last`, the oldest first."""
    return [intent_of(row) for row in connection.execute(_OPEN_SLOTS, {"first": first, "last": last})]


def list_intents(
    connection: Connection,
    *,
    since_ms: int = 0,
    latest_ms: int = 2**62,
    after: tuple[int, bytes] | None = None,
    limit: int = 100,
    having: ColumnElement[bool] | None = None,
    **equal: str | None,
) -> list[Intent]:
    """Intents for lists that people read, newest first; of the same millisecond, in the falling order of their ids.

    `equal` filters by columns, such as `account="..."`; None does not filter. `after` names the last intent of the page
    before by its `created_at_ms` and its id. `having` is a further condition. A page is read backwards from an index: both
    columns fall, because a server sorts the whole table for an order that falls in one and rises in the other.
    """
    created = _COLUMNS.created_at_ms
    # One bound on each side: of two, SQLite begins at the first, and reads from there on to the other one.
    newest_ms = latest_ms if after is None else min(latest_ms, after[0])
    query = select(table).where(created >= since_ms, created <= newest_ms)
    for column, value in equal.items():
        if value is not None:
            query = query.where(_COLUMNS[column] == value)
    if having is not None:
        query = query.where(having)
    if after is not None:
        at_ms, last = after
        query = query.where((created < at_ms) | (_COLUMNS.id < last))
    newest_first = query.order_by(created.desc(), _COLUMNS.id.desc()).limit(limit)
    return [intent_of(row) for row in connection.execute(newest_first)]


def count_signed(connection: Connection, since_ms: int, until_ms: int, part_ms: int) -> dict[int, int]:
    """How many were signed in each part of this time that had any, by the part's number from 0 on."""
    created = _COLUMNS.created_at_ms
    part = ((created - since_ms) // part_ms).label("part")
    query = select(part, func.count()).where(created >= since_ms, created < until_ms).group_by(part)
    return {int(number): count for number, count in connection.execute(query)}


def record_accepted(connection: Connection, intent: Intent, verdict: Accepted, now_ms: int) -> Intent | None:
    """Stores the intent as ACCEPTED. It overrules REJECTED too: the ledger decides.

    None if it was ACCEPTED before, or was signed again since it was read.
    """
    values = _known(intent) | {"new_stage": verdict.stage, "now_ms": now_ms}
    if connection.execute(_ACCEPT, values | {"known_outcome": Outcome.OPEN}).rowcount != 1:
        if connection.execute(_ACCEPT, values | {"known_outcome": Outcome.REJECTED}).rowcount != 1:
            return None
        stored = load_intent(connection, intent.id)
        if stored is not None and stored.counted is not None:
            count_again(connection, stored.counted, now_ms)
    return replace(
        intent,
        outcome=Outcome.ACCEPTED,
        stage=verdict.stage,
        reason=None,
        resolved_at_ms=now_ms,
        is_new=False,
    )


def record_rejected(connection: Connection, intent: Intent, verdict: Rejected, now_ms: int) -> Intent | None:
    """Stores the intent as REJECTED and frees its slot; None if the stored intent is no longer OPEN, or not as known here."""
    values = _known(intent) | {"new_stage": verdict.stage, "new_reason": verdict.reason, "now_ms": now_ms}
    statement = _REJECT
    if verdict.if_unshared:
        statement = _REJECT_ONLY_OFFER if intent.is_new else _REJECT_UNSHARED
        values["known_attempts"] = intent.attempts
    if connection.execute(statement, values).rowcount != 1:
        return None
    if intent.counted is not None:
        if verdict.is_presumed:
            connection.execute(_KEEP_COUNTED, {"intent_id": intent.id})
        else:
            give_back(connection, intent.counted, now_ms)
    return replace(
        intent,
        outcome=Outcome.REJECTED,
        slot=None,
        stage=verdict.stage,
        reason=verdict.reason,
        resolved_at_ms=now_ms,
        is_new=False,
    )


def reject_all(
    connection: Connection, intent_ids: Collection[bytes], verdict: Rejected, now_ms: int
) -> list[bytes]:
    """Rejects intents of any outcome, by the operator's decision; returns the ids that were not REJECTED before.

    A decision is no proof: rules go on counting them.
    """
    ids, changed = sorted(intent_ids), list[bytes]()
    values = {
        "outcome": Outcome.REJECTED,
        "slot": None,
        "attempts": _OFFERS_LEFT,
        "stage": verdict.stage,
        "reason": verdict.reason,
        "resolved_at_ms": now_ms,
        "counted": None,
    }
    for some in chunks(ids, _MAX_IN):
        ours = (_COLUMNS.id.in_(some), _COLUMNS.outcome != Outcome.REJECTED)
        changed += connection.execute(select(_COLUMNS.id).where(*ours)).scalars()
        connection.execute(update(table).where(*ours).values(values))
    return changed


def record_pending(connection: Connection, intent: Intent, verdict: Pending) -> Intent | None:
    """Stores the intent's new stage; None if it is no longer OPEN, or its stored stage is not the one known here."""
    values = _known(intent) | {"known_stage": intent.stage, "new_stage": verdict.stage}
    if connection.execute(_MOVE, values).rowcount != 1:
        return None
    return replace(intent, stage=verdict.stage, is_new=False)


def note_answer(connection: Connection, intent: Intent, answer: str, now_ms: int) -> None:
    """Stores why the network's last word did not end the intent, for who asks where it stands still."""
    connection.execute(_NOTE_ANSWER, {**_known(intent), "new_answer": answer, "now_ms": now_ms})


def record_told(connection: Connection, intent_id: bytes, attempts: int, now_ms: int) -> None:
    """Stores that the ledger's own receiver took what it was told of the intent, at this attempt."""
    values = {"intent_id": intent_id, "new_attempts": attempts, "now_ms": now_ms}
    connection.execute(_TELL, values)


def count_attempt(connection: Connection, intent: Intent) -> Intent | None:
    """Counts one more attempt before the intent is offered again, and returns it as stored; None if it is no longer OPEN.

    From here on, the answer to an earlier offer no longer proves that the network does not have the bytes.
    """
    if connection.execute(_COUNT_ATTEMPT, _known(intent)).rowcount != 1:
        return None
    return load_intent(connection, intent.id)


def free_slots(connection: Connection, first: bytes, last: bytes) -> None:
    """Frees the slots from `first` to `last` of ACCEPTED intents. Only where the ledger itself gives these slots out again."""
    accepted = (_COLUMNS.slot >= first, _COLUMNS.slot <= last, _COLUMNS.outcome == Outcome.ACCEPTED)
    connection.execute(update(table).where(*accepted).values(slot=None))


def forget_resolved(connection: Connection, before_ms: int, *, at_most: int = _MAX_IN) -> list[bytes]:
    """Deletes intents that were resolved before `before_ms`; returns their ids.

    Only for a ledger whose answers do not depend on resolved intents. It deletes by ids, because the locks of a range
    would be in the way of new rows. It looks at those that were signed before then, because their time has an index: none
    was resolved before it was signed.
    """
    old = (_COLUMNS.outcome != Outcome.OPEN, _COLUMNS.resolved_at_ms < before_ms)
    signed = select(_COLUMNS.id).where(*old, _COLUMNS.created_at_ms < before_ms)
    ids = list(connection.execute(signed.order_by(_COLUMNS.created_at_ms).limit(at_most)).scalars())
    connection.execute(delete(table).where(_COLUMNS.id.in_(ids), *old))
    return ids


def intent_of(row: Row[Any]) -> Intent:
    return Intent(
        id=row.id,
        account=row.account,
        slot=row.slot,
        kind=row.kind,
        payload=row.payload,
        principal=row.principal,
        request=row.request,
        stage=row.stage,
        outcome=Outcome(row.outcome),
        reason=row.reason,
        attempts=row.attempts,
        created_at_ms=row.created_at_ms,
        resolved_at_ms=row.resolved_at_ms,
        wallet=row.wallet or "",
        token=row.token,
        rule=row.rule,
        counted=row.counted,
        request_id=row.request_id or "",
        first_offered_at_ms=row.first_offered_at_ms,
        last_offered_at_ms=row.last_offered_at_ms,
        last_answer=row.last_answer,
        last_answer_at_ms=row.last_answer_at_ms,
        client_key=row.client_key or "",
        told_at_ms=row.told_at_ms,
        told_attempts=row.told_attempts,
    )


def _known(intent: Intent) -> dict[str, Any]:
    return {"intent_id": intent.id, "known_created_at_ms": intent.created_at_ms, **_offers(intent)}


def _offers(intent: Intent) -> dict[str, Any]:
    return {"known_first_ms": intent.first_offered_at_ms, "known_last_ms": intent.last_offered_at_ms}


def _row(intent: Intent) -> dict[str, Any]:
    """All columns, in the order of the table."""
    return {
        "id": intent.id,
        "account": intent.account,
        "slot": intent.slot,
        "kind": intent.kind,
        "payload": intent.payload,
        "principal": intent.principal,
        "request": intent.request,
        "stage": intent.stage,
        "outcome": intent.outcome.value,
        "reason": intent.reason,
        "attempts": intent.attempts,
        "created_at_ms": intent.created_at_ms,
        "resolved_at_ms": intent.resolved_at_ms,
        "wallet": intent.wallet,
        "token": intent.token,
        "rule": intent.rule,
        "counted": intent.counted,
        "request_id": intent.request_id or None,
        "first_offered_at_ms": intent.first_offered_at_ms,
        "last_offered_at_ms": intent.last_offered_at_ms,
        "last_answer": intent.last_answer,
        "last_answer_at_ms": intent.last_answer_at_ms,
        "client_key": intent.client_key or None,
        "told_at_ms": intent.told_at_ms,
        "told_attempts": intent.told_attempts,
    }
