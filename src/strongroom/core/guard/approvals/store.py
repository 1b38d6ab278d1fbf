"""Stores and loads approvals and their votes. Every function runs in the caller's transaction."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, exists, func, select, update

from strongroom.core.chunks import chunks
from strongroom.core.errors import InvalidInput
from strongroom.core.guard import tables
from strongroom.core.guard.approvals.approval import (
    OPEN,
    Approval,
    ApprovalState,
    Purpose,
    Requirement,
    Vote,
    encode_terms,
)
from strongroom.core.guard.state import GuardState
from strongroom.core.json_decoder import decode_json
from strongroom.core.security.access import principal_with
from strongroom.core.security.rows.tokens import ACCEPTED, TOKENS, TokenRows
from strongroom.core.security.stored_tokens import makers_of
from strongroom.core.storage import tables as core_tables
from strongroom.core.storage.database import holding, locking
from strongroom.core.storage.statements import MAX_IN

_columns = tables.approval.c
_votes = tables.vote.c
_later = core_tables.audit.c
CHANGES: Final = tuple(
    f"approval.{word}" for word in ("ask", "approve", "refuse", "expired", "failed", "spent")
)
"""The audit actions that change a request; their subject is its id."""
_IS_OLD = exists(
    select(_later.sequence)
    .where(
        _later.subject == _columns.id,
        _later.sequence > _columns.sequence,
        _later.action.in_((*CHANGES, ACCEPTED)),
    )
    .correlate(tables.approval)
)
_ROWS: Final = select(tables.approval, _IS_OLD.label("is_old"))
_encoder = msgspec.json.Encoder(order="sorted")


def load(connection: Connection, approval_id: str, *, lock: bool = False) -> Approval | None:
    """With its votes."""
    found = _first(connection, _columns.id == approval_id, lock=lock)
    return None if found is None else with_votes(connection, [found])[0]


def load_many(connection: Connection, ids: Sequence[str]) -> list[Approval]:
    """With their votes."""
    return with_votes(
        connection, [_approval(row) for row in connection.execute(_ROWS.where(_columns.id.in_(ids)))]
    )


def load_by_slot(connection: Connection, slot: bytes, *, lock: bool = False) -> Approval | None:
    found = _first(connection, _columns.slot == slot, lock=lock)
    return None if found is None else with_votes(connection, [found])[0]


def select_open(connection: Connection, purpose: Purpose, now_ms: int) -> list[Approval]:
    """All that waits or is approved and is not over, the oldest first, without votes."""
    query = _ROWS.where(_is_in(OPEN, now_ms), _columns.purpose == purpose.value)
    rows = connection.execute(query.order_by(_columns.asked_at_ms, _columns.id))
    return [_approval(row) for row in rows]


def select_due(connection: Connection, now_ms: int, *, limit: int) -> list[Approval]:
    """What is over and has not ended, and what the ledger can carry out; the oldest first, without votes."""
    is_over = _columns.state.in_(_open()) & (_columns.expires_at_ms <= now_ms)
    is_ready = (_columns.state == ApprovalState.APPROVED.value) & _columns.document.is_not(None)
    query = _ROWS.where(is_over | is_ready)
    rows = connection.execute(query.order_by(_columns.asked_at_ms, _columns.id).limit(limit))
    return [_approval(row) for row in rows]


def select_page(
    connection: Connection,
    states: Collection[ApprovalState],
    now_ms: int,
    *,
    after: str | None,
    limit: int,
    principal: str | None,
) -> list[Approval]:
    """Requests in these states now, the newest first, with their votes. `principal`: what it asked for alone.

    `after`: the id of the last request of the page before. Requests are never deleted, so it is found again.

    Raises:
        InvalidInput: there is no such request.
    """
    query = _ROWS.where(_is_in(states, now_ms))
    if principal is not None:
        query = query.where(_columns.principal == principal)
    if after is not None:
        last = _first(connection, _columns.id == after, lock=False)
        if last is None:
            raise InvalidInput("No page ends with this request", code="invalid_cursor")
        asked = _columns.asked_at_ms
        is_later = (asked < last.asked_at_ms) | (_columns.id > last.id)
        query = query.where(asked <= last.asked_at_ms, is_later)
    rows = connection.execute(query.order_by(_columns.asked_at_ms.desc(), _columns.id).limit(limit))
    return with_votes(connection, [_approval(row) for row in rows])


def count(
    connection: Connection, states: Collection[ApprovalState], now_ms: int, *, principal: str | None = None
) -> int:
    """How many requests are in these states now, of one principal or of all."""
    query = select(func.count()).select_from(tables.approval).where(_is_in(states, now_ms))
    if principal is not None:
        query = query.where(_columns.principal == principal)
    return int(connection.execute(query).scalar_one())


def _is_in(states: Collection[ApprovalState], now_ms: int) -> ColumnElement[bool]:
    """As `Approval.state_at`: what is open counts as expired when its time is over."""
    is_alive = _columns.expires_at_ms > now_ms
    alive = _columns.state.in_([each.value for each in states if each in OPEN]) & is_alive
    ended = _columns.state.in_([each.value for each in states if each not in OPEN])
    if ApprovalState.EXPIRED not in states:
        return alive | ended
    return alive | ended | (_columns.state.in_(_open()) & ~is_alive)


def with_votes(connection: Connection, approvals: Sequence[Approval]) -> list[Approval]:
    votes: dict[str, list[Vote]] = defaultdict(list)
    for some in chunks([each.id for each in approvals], MAX_IN):
        query = select(tables.vote).where(_votes.approval.in_(some))
        for row in connection.execute(query.order_by(_votes.at_ms, _votes.principal)):
            votes[row.approval].append(
                Vote(
                    principal=row.principal,
                    token=row.token,
                    has_scope=bool(row.has_scope),
                    at_ms=row.at_ms,
                    source=row.source,
                )
            )
    return [replace(each, votes=tuple(votes[each.id])) for each in approvals]


def insert(connection: Connection, approval: Approval, slot: bytes) -> None:
    """Raises: Duplicate: another request took the slot."""
    connection.execute(
        tables.approval.insert(),
        {
            "id": approval.id,
            "slot": slot,
            "purpose": approval.purpose.value,
            "state": approval.state.value,
            "terms_hash": approval.terms_hash,
            "terms": encode_terms(approval.terms),
            "principal": approval.principal.name,
            "requester": _encoder.encode(approval.principal.rights).decode(),
            "idempotency_key": approval.key,
            "document": None if approval.document is None else _encoder.encode(approval.document).decode(),
            "requirements": _encode_requirements(approval.requirements),
            "votes": 0,
            "asked_at_ms": approval.asked_at_ms,
            "expires_at_ms": approval.expires_at_ms,
        },
    )


def insert_vote(connection: Connection, approval: Approval, vote: Vote) -> None:
    """Counts a vote on a parked request, whose row the caller has locked.

    The request's row is updated by every vote, so that of two votes at once, on two database nodes, one waits for the other.
    """
    parked = (_columns.id == approval.id, _columns.state == ApprovalState.PARKED.value)
    counted = update(tables.approval).where(*parked).values(votes=_columns.votes + 1)
    if connection.execute(counted).rowcount != 1:
        raise AssertionError(f"the request {approval.id} was locked, and is not parked any more")
    values = {
        "approval": approval.id,
        "principal": vote.principal,
        "token": vote.token,
        "has_scope": vote.has_scope,
        "at_ms": vote.at_ms,
        "source": vote.source,
    }
    connection.execute(tables.vote.insert(), values)


def set_requirements(
    connection: Connection, approval: Approval, requirements: Sequence[Requirement], state: ApprovalState
) -> None:
    """For a request that other rules ask for now than when it was parked."""
    connection.execute(
        update(tables.approval)
        .where(_columns.id == approval.id, _columns.state.in_(_open()))
        .values(requirements=_encode_requirements(requirements), state=state.value)
    )


def spend(
    connection: Connection,
    approval: Approval,
    terms_hash: bytes,
    now_ms: int,
    states: Collection[ApprovalState],
) -> bool:
    """Spends the request on one signature; False: it is in none of these states, or for other terms, or it is over.

    It is an update whose count of rows decides, so that of two signatures at once, on two database nodes, one is undone.
    """
    statement = (
        update(tables.approval)
        .where(
            _columns.id == approval.id,
            _columns.state.in_([state.value for state in states]),
            _columns.terms_hash == terms_hash,
            _columns.expires_at_ms > now_ms,
        )
        .values(
            state=ApprovalState.SPENT.value,
            ended_at_ms=now_ms,
            reason=None,
            votes=_columns.votes + 1,
            **_slot_after(approval),
        )
    )
    return connection.execute(statement).rowcount == 1


def set_payload(connection: Connection, approval_id: str, payload_id: bytes) -> None:
    connection.execute(
        update(tables.approval).where(_columns.id == approval_id).values(payload_id=payload_id)
    )


def end(
    connection: Connection,
    approval: Approval,
    state: ApprovalState,
    reason: str | None,
    now_ms: int,
    states: Collection[ApprovalState] = OPEN,
) -> bool:
    """Ends a request without a signature; False: it is in none of these states any more."""
    statement = (
        update(tables.approval)
        .where(_columns.id == approval.id, _columns.state.in_([each.value for each in states]))
        .values(state=state.value, ended_at_ms=now_ms, reason=reason, **_slot_after(approval))
    )
    return connection.execute(statement).rowcount == 1


def end_locked(
    connection: Connection, approval: Approval, state: ApprovalState, reason: str | None, now_ms: int
) -> None:
    """Ends a request that was read as open, and whose row the caller has locked since."""
    if not end(connection, approval, state, reason, now_ms):
        raise AssertionError(f"the request {approval.id} was locked, and has ended")


def note(connection: Connection, approval_id: str, reason: str) -> None:
    """Why an approved request could not be carried out yet."""
    connection.execute(
        update(tables.approval)
        .where(_columns.id == approval_id, _columns.state == ApprovalState.APPROVED.value)
        .values(reason=reason)
    )


def is_satisfied(
    connection: Connection,
    rows: TokenRows,
    state: GuardState,
    approval: Approval,
    requirements: Sequence[Requirement],
) -> bool:
    """Whether enough principals approved it whose votes count now: not the one who asked, nobody who is frozen or revoked.

    `rows` tells tokens that another program wrote or changed: their votes do not count.
    """
    tokens = [vote.token for vote in approval.votes if vote.token is not None]
    columns = core_tables.token.c
    query = holding(TOKENS.where(columns.id.in_(tokens), columns.revoked_at_ms.is_(None)))
    found = connection.execute(query).all() if tokens else []
    unrevoked = {row.id: makers_of(row) for row in found if rows.is_good(row)}
    counted = [
        vote
        for vote in approval.votes
        if vote.principal != approval.principal.name
        and (vote.token is None or vote.token in unrevoked)
        and not is_frozen(state, (vote.principal, *unrevoked.get(vote.token or "", ())))
    ]
    return all(
        sum(may_decide(each, vote.principal, has_scope=vote.has_scope) for vote in counted) >= each.needed
        for each in requirements
    )


def may_decide(requirement: Requirement, principal: str, *, has_scope: bool) -> bool:
    return has_scope if requirement.of is None else principal in requirement.of


def is_frozen(state: GuardState, names: Collection[str]) -> bool:
    """Whether the token of the principal with these names is frozen."""
    return any(freeze.holds_caller(names) for freeze in state.freezes)


def _first(connection: Connection, where: ColumnElement[bool], *, lock: bool) -> Approval | None:
    query = _ROWS.where(where)
    row = connection.execute(locking(query) if lock else query).first()
    return None if row is None else _approval(row)


def _open() -> list[str]:
    return [state.value for state in OPEN]


def _slot_after(approval: Approval) -> Mapping[str, Any]:
    """A key names one request for good; an equal request without a key is a new one."""
    return {} if approval.key is not None else {"slot": None}


def _encode_requirements(requirements: Sequence[Requirement]) -> str:
    return _encoder.encode(requirements).decode()


def _approval(row: Row[Any]) -> Approval:
    return Approval(
        id=row.id,
        purpose=Purpose(row.purpose),
        state=ApprovalState(row.state),
        terms=decode_json(row.terms),
        terms_hash=bytes(row.terms_hash),
        principal=principal_with(row.principal, decode_json(row.requester)),
        key=row.idempotency_key,
        document=None if row.document is None else decode_json(row.document),
        requirements=decode_json(row.requirements, tuple[Requirement, ...]),
        asked_at_ms=row.asked_at_ms,
        expires_at_ms=row.expires_at_ms,
        ended_at_ms=row.ended_at_ms,
        payload_id=None if row.payload_id is None else bytes(row.payload_id),
        reason=row.reason,
        sequence=row.sequence,
        tag=None if row.tag is None else bytes(row.tag),
        is_old=bool(row.is_old),
    )
