"""Finds tokens, rules, freezes and requests for approval that the service did not write as they stand."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, select

from strongroom.core.chunks import chunks
from strongroom.core.guard import tables
from strongroom.core.guard.approvals import store
from strongroom.core.guard.approvals.approval import OPEN
from strongroom.core.guard.approvals.tagged import ApprovalRows
from strongroom.core.guard.tagged_state import problem_of, read_stored
from strongroom.core.json_decoder import decode_json
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.rows.tokens import ACCEPTED, TOKENS, TokenRows
from strongroom.core.storage import tables as core_tables

RULES: Final = "rules"
TOKEN: Final = "token"  # noqa: S105 - the word for a row
APPROVAL: Final = "approval"
REMOVED: Final = "was removed from the database: the audit trail knows that it was made"
AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class RowProblem:
    """A row that counts for nothing."""

    kind: str
    id: str
    title: str
    """For people."""
    why: str

    @property
    def name(self) -> str:
        """By which an operator accepts it."""
        return self.kind if self.kind == RULES else f"{self.kind}:{self.id}"

    @property
    def words(self) -> str:
        return self.why if self.kind == RULES else f"The {self.kind} {self.title} {self.why}"


def find_problems(connection: Connection, key: TrailKey, *, in_full: bool = False) -> list[RowProblem]:
    """What is wrong. `in_full`: also of requests that have ended, and what was removed; it reads the whole audit trail.

    Raises:
        Sealed: it cannot be told now.
    """
    found = [
        *_tokens(connection, key),
        *_rules(connection, key),
        *_approvals(connection, key, in_full=in_full),
    ]
    return [*found, *_removed(connection)] if in_full else found


def _tokens(connection: Connection, key: TrailKey) -> Iterator[RowProblem]:
    rows = TokenRows(key)
    for row in connection.execute(TOKENS.order_by(core_tables.token.c.id)).all():
        if (why := rows.problem(row)) is not None:
            yield RowProblem(kind=TOKEN, id=row.id, title=row.name, why=why)


def _rules(connection: Connection, key: TrailKey) -> Iterator[RowProblem]:
    if (why := problem_of(key, read_stored(connection))) is not None:
        yield RowProblem(kind=RULES, id="", title="", why=why)


def _approvals(connection: Connection, key: TrailKey, *, in_full: bool) -> Iterator[RowProblem]:
    rows, columns = ApprovalRows(key), tables.approval.c
    query = select(columns.id).order_by(columns.id)
    if not in_full:
        query = query.where(columns.state.in_([state.value for state in OPEN]))
    for some in chunks(list(connection.execute(query).scalars()), AT_ONCE):
        for one in store.load_many(connection, some):
            if (why := rows.problem(one)) is not None:
                yield RowProblem(kind=APPROVAL, id=one.id, title=one.id, why=why)


def _removed(connection: Connection) -> Iterator[RowProblem]:
    """What the trail says was made, and is not there. No such row is ever deleted by the service."""
    made = (
        (TOKEN, "token.create", select(core_tables.token.c.id)),
        (APPROVAL, "approval.ask", select(tables.approval.c.id)),
    )
    for kind, action, there in made:
        gone = _subjects(connection, action) - {*connection.execute(there).scalars()} - _given_up(connection)
        for subject in sorted(gone):
            yield RowProblem(kind=kind, id=subject, title=subject, why=REMOVED)


def _subjects(connection: Connection, action: str) -> set[str]:
    columns = core_tables.audit.c
    return {*connection.execute(select(columns.subject).where(columns.action == action)).scalars()}


def _given_up(connection: Connection) -> set[str]:
    """What an operator was told is gone, and let go."""
    columns = core_tables.audit.c
    accepted = select(columns.subject, columns.details).where(columns.action == ACCEPTED)
    return {
        row.subject
        for row in connection.execute(accepted)
        if decode_json(row.details, dict[str, Any]).get("why") == REMOVED
    }
