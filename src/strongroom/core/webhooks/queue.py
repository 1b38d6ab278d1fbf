"""The rows of events: one for each event and endpoint. Every function runs in the caller's transaction.

waiting ──> delivered   the endpoint took it; deleted after some days
   └──────> dead        the endpoint did not take it for a day; kept until it is replayed or the endpoint is removed
delivered, dead ──> waiting   an operator replays it
"""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Executable, Row, bindparam, delete, func, select, union_all, update

from strongroom.core.storage.database import insert_ignore
from strongroom.core.webhooks.tables import event as table

LIFE_MS: Final = 86_400_000
"""An event that an endpoint does not take for so long is dead."""
MAX_TROUBLE: Final = 300
PURGED_AT_ONCE: Final = 1_000


class EventState(enum.StrEnum):
    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedEvent:
    """An event that waits for one endpoint, or did."""

    row: int
    """The id of the row: the order of a stream."""
    endpoint: str
    id: str
    kind: str
    stream: str
    payload: str
    created_at_ms: int
    state: EventState
    attempts: int
    due_at_ms: int
    since_ms: int | None
    """When the time began after which it is dead."""
    status: int | None
    """Of the last answer; None: there was none."""
    trouble: str | None
    """Why the last attempt failed."""
    ended_at_ms: int | None
    payment: bytes | None = None
    """The id of the payment that it tells of; None: of none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """What waits for one endpoint."""

    waiting: int = 0
    oldest_ms: int | None = None
    """When the oldest of these was written."""
    failing_since_ms: int | None = None
    """Since when the first one that is tried again has failed."""
    trouble: str | None = None
    dead: int = 0


_COLUMNS = table.c
_IS_WAITING = _COLUMNS.state == EventState.WAITING
# Apart, because the index of streams answers it alone. For whole rows MariaDB would join it with the index of all that waits, and
# read that queue from end to end for each delivery.
_NEXT_IDS = (
    select(_COLUMNS.id)
    .where(
        _COLUMNS.endpoint == bindparam("of_endpoint"), _IS_WAITING, _COLUMNS.stream == bindparam("of_stream")
    )
    .order_by(_COLUMNS.id)
    .limit(bindparam("most"))
    .subquery()
)
_NEXT = select(table).join(_NEXT_IDS, _NEXT_IDS.c.id == _COLUMNS.id).order_by(_COLUMNS.id)
_THIS = (_COLUMNS.id == bindparam("row_id"), _IS_WAITING)
_DELIVERED = (
    update(table)
    .where(*_THIS)
    .values(
        state=EventState.DELIVERED,
        attempts=_COLUMNS.attempts + 1,
        status=bindparam("new_status"),
        trouble=None,
        ended_at_ms=bindparam("now_ms"),
    )
)
_FAILED = (
    update(table)
    .where(*_THIS)
    .values(
        attempts=_COLUMNS.attempts + 1,
        since_ms=bindparam("new_since_ms"),
        due_at_ms=bindparam("new_due_ms"),
        status=bindparam("new_status"),
        trouble=bindparam("new_trouble"),
    )
)
_DEAD = _FAILED.values(state=EventState.DEAD, ended_at_ms=bindparam("now_ms"))


def insert_events(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """An event that waits for the endpoint already, or did lately, stays as it is."""
    insert_ignore(connection, table, rows)


def row_of(
    *,
    endpoint: str,
    event: str,
    kind: str,
    stream: str,
    payload: str,
    payment: bytes | None = None,
    now_ms: int,
) -> dict[str, Any]:
    return {
        "endpoint": endpoint,
        "event": event,
        "kind": kind,
        "stream": stream,
        "payload": payload,
        "created_at_ms": now_ms,
        "state": EventState.WAITING.value,
        "attempts": 0,
        "due_at_ms": now_ms,
        "payment": payment,
    }


def waiting_streams(connection: Connection, after: int) -> tuple[list[tuple[str, str]], int]:
    """The endpoints and streams for which a row after the id `after` waits, and the last such id."""
    which = (_IS_WAITING, _COLUMNS.id > after)
    found = connection.execute(select(_COLUMNS.endpoint, _COLUMNS.stream).where(*which).distinct())
    streams = [(row.endpoint, row.stream) for row in found]
    last = connection.execute(select(func.max(_COLUMNS.id)).where(*which)).scalar()
    return streams, after if last is None else int(last)


def next_events(connection: Connection, endpoint: str, stream: str, most: int) -> list[QueuedEvent]:
    """What waits in the stream, in its order."""
    values = {"of_endpoint": endpoint, "of_stream": stream, "most": most}
    return [queued_event(row) for row in connection.execute(_NEXT, values)]


def events_of_payment(connection: Connection, payment: bytes) -> list[QueuedEvent]:
    """What tells of a payment, to whichever endpoint, in the order in which it was written."""
    query = select(table).where(_COLUMNS.payment == payment).order_by(_COLUMNS.id)
    return [queued_event(row) for row in connection.execute(query)]


def record_delivered(connection: Connection, event: QueuedEvent, status: int, now_ms: int) -> bool:
    """False: it does not wait any more."""
    values = {"row_id": event.row, "new_status": status, "now_ms": now_ms}
    if connection.execute(_DELIVERED, values).rowcount == 0:
        return False
    if event.since_ms is not None:
        # The endpoint takes events again: what waited behind this one has a day of its own.
        behind = (*_same_stream(event), _COLUMNS.since_ms.is_not(None))
        connection.execute(update(table).where(*behind).values(since_ms=None))
    return True


def record_failed(
    connection: Connection,
    event: QueuedEvent,
    status: int | None,
    trouble: str,
    *,
    since_ms: int,
    due_ms: int,
) -> bool:
    values = {
        "row_id": event.row,
        "new_since_ms": since_ms,
        "new_due_ms": due_ms,
        "new_status": status,
        "new_trouble": trouble[:MAX_TROUBLE],
    }
    return connection.execute(_FAILED, values).rowcount > 0


def record_dead(
    connection: Connection,
    event: QueuedEvent,
    status: int | None,
    trouble: str,
    *,
    since_ms: int,
    now_ms: int,
) -> bool:
    """What waits behind it has waited as long as it was there meanwhile.

    Without an answer at all (`status` None) it is not the event's fault, and what is as old dies with it, without an attempt of
    its own: else a receiver that is gone would be tried once for each.
    """
    values = {
        "row_id": event.row,
        "new_since_ms": since_ms,
        "new_due_ms": now_ms,
        "new_status": status,
        "new_trouble": trouble[:MAX_TROUBLE],
        "now_ms": now_ms,
    }
    if connection.execute(_DEAD, values).rowcount == 0:
        return False
    behind = update(table).where(*_same_stream(event), _COLUMNS.since_ms.is_(None))
    connection.execute(behind.where(_COLUMNS.created_at_ms < since_ms).values(since_ms=since_ms))
    connection.execute(behind.values(since_ms=_COLUMNS.created_at_ms))
    if status is None:
        as_old = (*_same_stream(event), _COLUMNS.since_ms <= now_ms - LIFE_MS)
        died = {"state": EventState.DEAD, "ended_at_ms": now_ms, "trouble": trouble[:MAX_TROUBLE]}
        connection.execute(update(table).where(*as_old).values(died))
    return True


def replay(
    connection: Connection,
    endpoint: str,
    now_ms: int,
    *,
    states: Sequence[EventState] = (EventState.DEAD,),
    event: str | None = None,
    since_ms: int = 0,
) -> int:
    """Lets events wait again, each with a day of its own; returns how many."""
    which = [
        _COLUMNS.endpoint == endpoint,
        _COLUMNS.state.in_([one.value for one in states]),
        _COLUMNS.created_at_ms >= since_ms,
    ]
    if event is not None:
        which.append(_COLUMNS.event == event)
    again = {
        "state": EventState.WAITING,
        "attempts": 0,
        "due_at_ms": now_ms,
        "since_ms": None,
        "ended_at_ms": None,
    }
    return connection.execute(update(table).where(*which).values(again)).rowcount


def has_event(connection: Connection, endpoint: str, event: str) -> bool:
    which = (_COLUMNS.endpoint == endpoint, _COLUMNS.event == event)
    return connection.execute(select(_COLUMNS.id).where(*which)).first() is not None


def make_due(connection: Connection, endpoint: str, now_ms: int) -> None:
    """Lets what waits for the endpoint be tried at once."""
    later = (_COLUMNS.endpoint == endpoint, _IS_WAITING, _COLUMNS.due_at_ms > now_ms)
    connection.execute(update(table).where(*later).values(due_at_ms=now_ms))


def list_events(
    connection: Connection,
    endpoint: str,
    *,
    states: Sequence[EventState],
    before: int | None = None,
    limit: int,
) -> list[QueuedEvent]:
    """The newest first; `before`: from the row before this one on."""
    # Of each state by itself, because the index has them in their order state by state.
    newest = []
    for state in states:
        some = select(_COLUMNS.id).where(_COLUMNS.endpoint == endpoint, _COLUMNS.state == state.value)
        if before is not None:
            some = some.where(_COLUMNS.id < before)
        newest.append(select(some.order_by(_COLUMNS.id.desc()).limit(limit).subquery().c.id))
    found = union_all(*newest).subquery()
    query = select(table).join(found, found.c.id == _COLUMNS.id).order_by(_COLUMNS.id.desc()).limit(limit)
    return [queued_event(row) for row in connection.execute(query)]


def queue_states(connection: Connection, endpoints: Iterable[str]) -> dict[str, QueueState]:
    """By endpoint, of `endpoints`; those for which nothing waits and nothing is dead are missing."""
    found: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        # Each by itself: grouped, a server reads what was delivered too.
        waiting, first = connection.execute(_counted(endpoint, EventState.WAITING)).one()
        dead = connection.execute(_counted(endpoint, EventState.DEAD)).one()[0]
        if dead:
            found[endpoint] = {"dead": dead}
        if waiting:
            oldest = select(_COLUMNS.created_at_ms).where(_COLUMNS.id == first)
            values = {"waiting": waiting, "oldest_ms": connection.execute(oldest).scalar()}
            found[endpoint] = found.get(endpoint, {}) | values | _failure(connection, endpoint)
    return {endpoint: QueueState(**values) for endpoint, values in found.items()}


def _counted(endpoint: str, state: EventState) -> Executable:
    """How many events of an endpoint are in a state, and the first of them."""
    which = (_COLUMNS.endpoint == endpoint, _COLUMNS.state == state)
    return select(func.count(), func.min(_COLUMNS.id)).where(*which)


def _failure(connection: Connection, endpoint: str) -> dict[str, Any]:
    failing = (
        select(_COLUMNS.since_ms, _COLUMNS.trouble)
        .where(_COLUMNS.endpoint == endpoint, _IS_WAITING, _COLUMNS.attempts > 0)
        .order_by(_COLUMNS.since_ms)
        .limit(1)
    )
    row = connection.execute(failing).first()
    return {} if row is None else {"failing_since_ms": row.since_ms, "trouble": row.trouble}


def forget_delivered(connection: Connection, before_ms: int) -> int:
    """Deletes events that were delivered before `before_ms`, not too many at once; returns how many."""
    old = (_COLUMNS.state == EventState.DELIVERED, _COLUMNS.ended_at_ms < before_ms)
    ids = list(connection.execute(select(_COLUMNS.id).where(*old).limit(PURGED_AT_ONCE)).scalars())
    connection.execute(delete(table).where(_COLUMNS.id.in_(ids)))
    return len(ids)


def delete_events(connection: Connection, endpoint: str) -> None:
    connection.execute(delete(table).where(_COLUMNS.endpoint == endpoint))


def queued_event(row: Row[Any]) -> QueuedEvent:
    return QueuedEvent(
        row=row.id,
        endpoint=row.endpoint,
        id=row.event,
        kind=row.kind,
        stream=row.stream,
        payload=row.payload,
        created_at_ms=row.created_at_ms,
        state=EventState(row.state),
        attempts=row.attempts,
        due_at_ms=row.due_at_ms,
        since_ms=row.since_ms,
        status=row.status,
        trouble=row.trouble,
        ended_at_ms=row.ended_at_ms,
        payment=row.payment,
    )


def _same_stream(event: QueuedEvent) -> tuple[Any, ...]:
    return (_COLUMNS.endpoint == event.endpoint, _IS_WAITING, _COLUMNS.stream == event.stream)
