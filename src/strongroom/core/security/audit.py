"""The audit trail: rows in chains, each written in the transaction of the action that it records.

If the row cannot be written, the transaction does not commit. `core.security.trail` says how the rows hang together.
"""

import hmac
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, Row

from strongroom.core.clock import Clock
from strongroom.core.errors import Unavailable
from strongroom.core.security.access import Principal
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.trail.lanes import (
    LANES,
    OLD_LANE,
    Head,
    Lanes,
    end_of,
    lock_head,
    lock_heads,
    move_head,
    move_heads,
)
from strongroom.core.security.trail.restart import (
    RESTART,
    SUBJECT,
    LastCheckpoint,
    details_of,
    measure,
)
from strongroom.core.security.trail.rows import (
    Content,
    End,
    TrailKeys,
    head_tag,
    keys_of,
    row_hash,
)
from strongroom.core.storage import tables
from strongroom.core.storage.statements import insert_numbered, insert_of

_INSERT = insert_of(tables.audit)
_encoder = msgspec.json.Encoder(order="sorted")


class AuditBroken(Unavailable):
    """The audit trail is not as this service wrote it, or not under this key. Nothing was signed."""

    code = "audit_broken"


Hearer = Callable[[Connection, Principal, str, str, Mapping[str, Any] | None], None]
"""Hears of a row in its transaction, before it is written: connection, principal, action, subject, details."""


class Audit:
    """Appends rows to the audit trail."""

    def __init__(self, clock: Clock, key: TrailKey, lanes: Lanes | None = None) -> None:
        self._clock = clock
        self._key = key
        self._lanes = lanes or Lanes()
        self._hearers: list[Hearer] = []

    def hear(self, hearer: Hearer) -> None:
        """`hearer` hears of every row from now on."""
        self._hearers.append(hearer)

    @property
    def key(self) -> TrailKey:
        """What is made with the same secret, such as the tags of rows, is made with this."""
        return self._key

    def append(
        self,
        connection: Connection,
        principal: Principal,
        action: str,
        subject: str,
        details: Mapping[str, Any] | None = None,
    ) -> int:
        """Adds one row and returns its sequence, which the database gives.

        Callers append last in their transaction: the head of the lane stays locked until the commit.

        Raises:
            Sealed: the trail's secret is not in memory; the caller's transaction ends with it.
            AuditBroken: the head of the lane is not as it was written, or was written with another key.
        """
        keys = keys_of(self._key)
        for hearer in self._hearers:
            hearer(connection, principal, action, subject, details)
        lane = self._lanes.of(connection)
        end = self._end(connection, lane, keys)
        request = {"requestId": principal.request_id} if principal.request_id else {}
        text = _encoder.encode({**(details or {}), **request}).decode()
        content = Content(
            at_ms=self._clock.now_ms(),
            principal=principal.name,
            action=action,
            subject=subject,
            details=text,
        )
        return _add(connection, keys, end, content).sequence

    def restart(
        self, connection: Connection, principal: Principal, why: str, checkpoint: LastCheckpoint
    ) -> bool:
        """Begins the trail anew under the present secret, if every head was written with another one, which is lost.

        Only an operator decides that. Numbers and hashes go on; the first row says what cannot be verified any more.

        Raises:
            Sealed: the trail's secret is not in memory.
            AuditBroken: the trail was changed so that it cannot go on.
        """
        keys = keys_of(self._key)
        heads = lock_heads(connection)
        tagged = [head for head in heads if head.tag is not None]
        if not tagged or any(is_ours(head, keys) for head in tagged):
            return False
        try:
            stretches = measure(connection, heads)
            moves = [
                (one.end, head_tag(keys, one.end), head.at_ms)
                for one, head in zip(stretches, heads, strict=True)
            ]
        except TypeError:
            raise AuditBroken(
                "The audit trail cannot begin anew: a value in it is of another kind than its column. Restore a backup"
            ) from None
        move_heads(connection, moves)
        self.append(connection, principal, RESTART, SUBJECT, details_of(why, stretches, checkpoint))
        return True

    def _end(self, connection: Connection, lane: int, keys: TrailKeys) -> End:
        """The lane's last row, with its head locked. The first transaction of all begins the trail."""
        head = lock_head(connection, lane)
        if head is not None and head.tag is None:
            self._begin(connection, keys)
            head = lock_head(connection, lane)
        if head is None or not is_ours(head, keys):
            raise AuditBroken(
                f"The head of lane {lane} of the audit trail is not as it was written, or was written with another key. Run"
                " strongroom doctor"
            )
        return end_of(head)

    def _begin(self, connection: Connection, keys: TrailKeys) -> None:
        """Tags all heads: those of the lanes, which are empty, and that of the rows of before."""
        heads = lock_heads(connection)
        is_new = all(head.tag is None and (head.lane == OLD_LANE or not head.number) for head in heads)
        if len(heads) != LANES + 1 or not is_new:
            raise AuditBroken("Heads of the audit trail were set back or removed. Run strongroom doctor")
        ends = [end_of(head) for head in heads]
        move_heads(connection, [(end, head_tag(keys, end), 0) for end in ends])


def is_ours(head: Row[Any] | Head, keys: TrailKeys) -> bool:
    """Whether the head of a lane is as a process with these keys wrote it."""
    if not (isinstance(head.tag, bytes) and isinstance(head.hash, bytes)):  # SQLite takes anything
        return False
    return hmac.compare_digest(head.tag, head_tag(keys, end_of(head)))


def _add(connection: Connection, keys: TrailKeys, end: End, content: Content) -> End:
    """Appends a row to a lane whose head is locked, and returns the new end."""
    own_hash = row_hash(keys, end, content)
    sequence = insert_numbered(
        connection,
        _INSERT,
        content.at_ms,
        content.principal,
        content.action,
        content.subject,
        content.details,
        end.hash,
        own_hash,
        end.lane,
        end.number + 1,
    )
    new = End(lane=end.lane, number=end.number + 1, sequence=sequence, hash=own_hash)
    move_head(connection, new, head_tag(keys, new), content.at_ms)
    return new
