"""Ties rules and freezes to the audit trail: all of them together have one tag, in the row that every signature holds.

    HMAC-SHA256(key, generation, sequence, every rule, every freeze)

So a rule that was added past the service, a freeze that was removed, and a changed document are found, whichever row it is. Each
change writes an audit row `policy.state`, which `sequence` names: where all three tables are put back to an older state together, the trail
has a later one. It is checked when rules are read, which is after a change alone; a signature costs nothing more.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, exists, func, select, update

from strongroom.core.errors import Unavailable
from strongroom.core.guard import tables
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.rows.tag import Value, as_bytes, encoded, is_tag, row_tag
from strongroom.core.storage import tables as core_tables

PURPOSE: Final = b"rows"
STATE_ID: Final = 1
SUBJECT: Final = "strongroom_guard"
CHANGED: Final = "policy.state"
ATTEMPTS: Final = 8

_columns, _later = tables.guard.c, core_tables.audit.c
_IS_OLD = exists(
    select(_later.sequence)
    .where(
        _later.subject == SUBJECT,
        _later.sequence > func.coalesce(_columns.sequence, 0),
        _later.action == CHANGED,
    )
    .correlate(tables.guard)
)
_STATE = select(tables.guard, _IS_OLD.label("is_old")).where(_columns.id == STATE_ID)


class RulesAltered(Unavailable):
    """Rules or freezes are not as the service wrote them, so nobody knows what may be signed. Nothing is, until a person has looked."""

    code = "rules_altered"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRules:
    """The row of the state, and all rules and freezes, as they are stored. The rows are in the order in which people wrote them."""

    state: Row[Any]
    rules: Sequence[Row[Any]]
    freezes: Sequence[Row[Any]]

    @property
    def content(self) -> bytes:
        """All of it as bytes, whatever order a database reads it in."""
        parts: list[bytes | None] = []
        for rows in (self.rules, self.freezes):
            parts.append(as_bytes(len(rows)))
            for row in sorted(rows, key=lambda row: str(row.id)):
                parts += map(as_bytes, row)
        return encoded(parts)


def read_stored(connection: Connection) -> StoredRules:
    """All of one generation, also where others change rules meanwhile: every change gives another generation."""
    rule, freeze = tables.rule.c, tables.freeze.c
    for _ in range(ATTEMPTS):
        stored = StoredRules(
            state=connection.execute(_STATE).one(),
            rules=connection.execute(select(tables.rule).order_by(rule.added_at_ms, rule.id)).all(),
            freezes=connection.execute(select(tables.freeze).order_by(freeze.frozen_at_ms, freeze.id)).all(),
        )
        if connection.execute(_STATE).one() == stored.state:
            return stored
    raise Unavailable("The rules change all the time; nothing was signed, try again", code="rules_changed")


def problem_of(key: TrailKey, stored: StoredRules) -> str | None:
    """What is wrong with them; None: they are as the service wrote them. Raises: Sealed: that cannot be told now."""
    state, secret = stored.state, key.derive(PURPOSE)
    if state.is_old:
        return "Rules or freezes were put back to an older state in the database"
    if state.tag is None:
        # Nobody has changed anything yet.
        is_new = state.sequence is None and not stored.rules and not stored.freezes
        return None if is_new else "Rules or freezes were not written by this service"
    if state.sequence is None or not is_tag(
        state.tag, _tag(secret, stored, state.generation, state.sequence)
    ):
        return "Rules or freezes were altered in the database"
    return None


def require_unaltered(key: TrailKey, stored: StoredRules) -> None:
    """Raises: RulesAltered."""
    problem = problem_of(key, stored)
    if problem is not None:
        raise RulesAltered(
            f"{problem}: nothing is signed until an operator has looked at strongroom rows list"
        )


def tag_rules(connection: Connection, audit: Audit, principal: Principal) -> None:
    """Tags rules and freezes as they stand, after a change in this transaction. It writes the audit row of the new state."""
    stored = read_stored(connection)
    details = {
        "rules": len(stored.rules),
        "freezes": len(stored.freezes),
        "digest": hashlib.sha256(stored.content).hexdigest(),
    }
    write_tag(connection, audit.key, audit.append(connection, principal, CHANGED, SUBJECT, details))


def write_tag(connection: Connection, key: TrailKey, sequence: int) -> None:
    """Tags rules and freezes as they stand. `sequence` names the audit row of the change."""
    stored = read_stored(connection)
    tag = _tag(key.derive(PURPOSE), stored, stored.state.generation, sequence)
    connection.execute(update(tables.guard).where(_columns.id == STATE_ID).values(sequence=sequence, tag=tag))


def _tag(secret: bytes, stored: StoredRules, generation: int, sequence: int) -> bytes:
    columns: dict[str, Value] = {"generation": generation, "content": stored.content}
    return row_tag(secret, SUBJECT, str(STATE_ID), sequence, columns)
