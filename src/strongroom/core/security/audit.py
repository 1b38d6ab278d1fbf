"""The audit trail: a hash chain of rows, each written in the transaction of the action that it records.

hash(n) = SHA-256(hash(n-1) || JSON [sequence, at_ms, principal, action, subject, details]); hash(0) is 32 zero bytes. If the row
cannot be written, the transaction does not commit. Changing, removing or reordering a row breaks all later hashes.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, bindparam, select, update

from strongroom.core.clock import Clock
from strongroom.core.errors import StrongroomError
from strongroom.core.security.access import Principal
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database, locking

GENESIS_HASH = bytes(32)
HEAD_ID = 1
VERIFY_CHUNK = 1000
PURPOSE = b"audit"

# Every signature runs these statements. They are built once, because building one costs as much as executing it.
_LOCK_HEAD = locking(
    select(tables.audit_head.c.sequence, tables.audit_head.c.hash).where(tables.audit_head.c.id == HEAD_ID)
)
_MOVE_HEAD = (
    update(tables.audit_head)
    .where(tables.audit_head.c.id == HEAD_ID)
    .values(sequence=bindparam("new_sequence"), hash=bindparam("new_hash"))
)

_encoder = msgspec.json.Encoder(order="sorted")


class AuditBroken(StrongroomError):
    """The audit trail is not an unbroken chain."""

    code = "audit_broken"


Hearer = Callable[[Connection, Principal, str, str, Mapping[str, Any] | None], None]
"""Hears of a row in its transaction, before it is written: connection, principal, action, subject, details."""


class Audit:
    """Appends rows to the audit trail; `verify` checks the chain."""

    def __init__(self, clock: Clock, key: TrailKey) -> None:
        self._clock = clock
        self._key = key
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
        """Adds one row and returns its sequence.

        Callers append last in their transaction: the head of the chain stays locked until the commit, and every other
        signature waits for it.

        Raises:
            Sealed: the trail's secret is not in memory; the caller's transaction ends with it.
        """
        self._key.derive(PURPOSE)
        for hearer in self._hearers:
            hearer(connection, principal, action, subject, details)
        head = connection.execute(_LOCK_HEAD).one()
        sequence = head.sequence + 1
        request = {"requestId": principal.request_id} if principal.request_id else {}
        text = _encoder.encode({**(details or {}), **request}).decode()
        at_ms = self._clock.now_ms()
        row_hash = chain_hash(head.hash, sequence, at_ms, principal.name, action, subject, text)
        connection.execute(
            tables.audit.insert(),
            {
                "sequence": sequence,
                "at_ms": at_ms,
                "principal": principal.name,
                "action": action,
                "subject": subject,
                "details": text,
                "previous_hash": head.hash,
                "hash": row_hash,
            },
        )
        connection.execute(_MOVE_HEAD, {"new_sequence": sequence, "new_hash": row_hash})
        return int(sequence)


def chain_hash(
    previous: bytes, sequence: int, at_ms: int, principal: str, action: str, subject: str, details: str
) -> bytes:
    row = _encoder.encode([sequence, at_ms, principal, action, subject, details])
    return hashlib.sha256(previous + row).digest()


async def verify(database: Database) -> int:
    """Checks the whole chain and returns its length.

    Raises:
        AuditBroken: a row was changed, removed or inserted; the message names the first one.
    """
    previous, expected = GENESIS_HASH, 1
    while True:
        rows, head = await database.read(partial(_rows_and_head, expected))
        for row in rows:
            good = chain_hash(
                previous, expected, row.at_ms, row.principal, row.action, row.subject, row.details
            )
            if row.sequence != expected or row.previous_hash != previous or row.hash != good:
                raise AuditBroken(f"the audit trail is broken at row {expected}")
            previous, expected = row.hash, expected + 1
        if len(rows) < VERIFY_CHUNK:
            break
    if head is None or head.sequence != expected - 1 or head.hash != previous:
        raise AuditBroken(f"the audit trail ends at row {expected - 1}, but its head names another last row")
    return expected - 1


def _rows_and_head(first: int, connection: Connection) -> tuple[Sequence[Row[Any]], Row[Any] | None]:
    """The next rows and the head, read on one snapshot because the trail may grow meanwhile."""
    query = (
        select(tables.audit)
        .where(tables.audit.c.sequence >= first)
        .order_by(tables.audit.c.sequence)
        .limit(VERIFY_CHUNK)
    )
    head = select(tables.audit_head).where(tables.audit_head.c.id == HEAD_ID)
    return connection.execute(query).all(), connection.execute(head).first()
