"""The rows of tokens, each with a tag: a token that this service did not write, or that was changed past it, opens nothing.

The tag is read together with the row, and with whether the audit trail knows a later change of it; so a check costs no statement.

While the service is sealed no tag can be checked. A token is let in then by its secret alone, as `Principal.is_checked` says: it reads, and
whatever it wants to sign or change is refused.
"""

from types import SimpleNamespace
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Row, bindparam, exists, select, update

from strongroom.core.errors import Sealed, Unauthenticated
from strongroom.core.security.access import Principal
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.rows.tag import is_tag, row_tag
from strongroom.core.security.stored_tokens import REVOKED
from strongroom.core.storage import tables
from strongroom.core.storage.database import holding
from strongroom.core.storage.statements import Statement, arg, execute

log = structlog.get_logger(__name__)

PURPOSE: Final = b"rows"
TABLE: Final = "strongroom_token"
ACCEPTED: Final = "rows.accept"
NOT_OURS: Final = "was not written by this service"
ALTERED: Final = "was altered in the database"
REPLACED: Final = "was replaced in the database by an older version of itself"
CHANGES: Final = ("token.create", "token.rotate", "token.change", "token.revoke", ACCEPTED)
"""The audit actions that change a token; their subject is its id."""

_columns, _later = tables.token.c, tables.audit.c
_TAGGED: Final = tuple(column.name for column in _columns if column.name not in {"id", "sequence", "tag"})
_IS_OLD = exists(
    select(_later.sequence)
    .where(_later.subject == _columns.id, _later.sequence > _columns.sequence, _later.action.in_(CHANGES))
    .correlate(tables.token)
)
TOKENS: Final = select(tables.token, _IS_OLD.label("is_old"))
"""The columns that `TokenRows` needs, of all tokens."""
_HOLD = Statement(holding(TOKENS.where(_columns.id == arg("id"))), "id")
_NAMES = tuple(TOKENS.selected_columns.keys())
_TAG = (
    update(tables.token)
    .where(_columns.id == bindparam("token_id"))
    .values(sequence=bindparam("new_sequence"), tag=bindparam("new_tag"))
)


class TokenRows:
    """Checks and tags the tokens of one ledger."""

    def __init__(self, key: TrailKey) -> None:
        self._key = key
        self._noticed: set[tuple[str, str]] = set()

    @property
    def can_check(self) -> bool:
        return self._key.is_open

    def problem(self, row: Row[Any]) -> str | None:
        """What is wrong with a row of `TOKENS`. Raises: Sealed: it cannot be checked now."""
        key = self._key.derive(PURPOSE)
        if row.tag is None or row.sequence is None:
            return NOT_OURS
        if not is_tag(row.tag, _tag_of(key, row, row.sequence)):
            return ALTERED
        return REPLACED if row.is_old else None

    def is_good(self, row: Row[Any]) -> bool:
        """Whether the service wrote the row as it is; what is not so is logged once. Raises: Sealed."""
        problem = self.problem(row)
        if problem is None:
            return True
        if (row.id, problem) not in self._noticed:
            self._noticed.add((row.id, problem))
            log.error("a token is refused", token=row.id, name=row.name, why=problem)
        return False

    def tag(self, connection: Connection, token_id: str, sequence: int) -> None:
        """Tags the row as it stands, after the audit row `sequence` of its change. Raises: Sealed."""
        key = self._key.derive(PURPOSE)
        row = connection.execute(select(tables.token).where(_columns.id == token_id)).one()
        values = {"token_id": token_id, "new_sequence": sequence, "new_tag": _tag_of(key, row, sequence)}
        connection.execute(_TAG, values)

    def require_good(self, row: Row[Any]) -> None:
        """For whoever changes a row: what is wrong must not become right by it. Raises: Unauthenticated, Sealed."""
        if not self.is_good(row):
            raise Unauthenticated(f"The token {row.id} {self.problem(row)}: look at strongroom rows list")

    def require_unrevoked(self, connection: Connection, principal: Principal) -> None:
        """Checks, in a transaction that signs or that changes tokens, that the request's token was not revoked since it was let in.

        Whoever revokes it meanwhile waits until the transaction ends, so nothing is signed or changed after a revocation. A token
        that has expired meanwhile is no obstacle: it was valid when the request was made.

        Raises:
            Unauthenticated: the principal's token was revoked, or its row is not as the service wrote it.
            Sealed: it cannot be checked, or could not be when the request was let in.
        """
        if principal.token is None:
            return
        if not principal.is_checked:
            raise Sealed("The service was sealed when this request came. Nothing was signed; ask again")
        rows = execute(connection, _HOLD, principal.token)
        row: Any = SimpleNamespace(**dict(zip(_NAMES, rows[0], strict=True))) if rows else None
        if row is None or row.revoked_at_ms is not None or not self.is_good(row):
            raise Unauthenticated(REVOKED)


def _tag_of(key: bytes, row: Row[Any], sequence: int) -> bytes:
    return row_tag(key, TABLE, row.id, sequence, {column: getattr(row, column) for column in _TAGGED})
