"""The record that a ledger is sealed: whoever has no key can set it, and only whoever has the key can take it away.

While a ledger is sealed, no process has its keys in memory, and none opens them, also after a restart. The record that ends it has a
tag under the active key and names the audit row that records it. So somebody who can write the database, and has no key, can seal
the service and cannot unseal it: a record without the right tag, an old one, and one that was removed count as sealed.

What seals, unseals and changes keys takes one lock that holds on several database nodes, so that neither decides by an old record.
"""

import hmac
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select

from strongroom.core.coordination.locks import take
from strongroom.core.errors import Sealed
from strongroom.core.security.keys.ring import KeyRing
from strongroom.core.security.keys.trail_key import SEALED
from strongroom.core.storage import tables
from strongroom.core.storage.database import upsert

SEAL: Final = "seal"
UNSEAL: Final = "unseal"
PURPOSE: Final = b"strongroom seal v1"
RECORD_ID: Final = 1
LOCK: Final = "seal"


@dataclass(frozen=True, slots=True, kw_only=True)
class SealRecord:
    is_sealed: bool
    sequence: int
    """The audit row of the change."""
    tag: bytes | None
    key_version: int | None
    attempts: int
    """Wrong keys since the last change."""
    attempted_at_ms: int


def load_seal(connection: Connection) -> SealRecord | None:
    """None: nobody ever sealed the ledger, or somebody removed the record."""
    row = connection.execute(select(tables.seal).where(tables.seal.c.id == RECORD_ID)).first()
    return None if row is None else _record(row)


def lock_seal(connection: Connection) -> None:
    """Lets one transaction at a time look at the record and change it or the keys, on whatever database nodes they are."""
    take(connection, LOCK)


def require_unsealed(connection: Connection, table: str) -> None:
    """Makes sure that nobody seals the ledger before the commit.

    Raises:
        Sealed: it is sealed.
    """
    lock_seal(connection)
    if says_sealed(connection, table):
        raise Sealed(SEALED)


def says_sealed(connection: Connection, table: str) -> bool:
    """Whether the database says that the ledger is sealed, by the record or by the audit trail where it has none.

    `table` is the kind's (`Kind.table`): the subject of the trail's rows about the seal.
    """
    record = load_seal(connection)
    return _last_seal(connection, table) > 0 if record is None else record.is_sealed


def is_proven(connection: Connection, ring: KeyRing, table: str) -> bool:
    """Whether the ledger is unsealed, as whoever has the key wrote it. The ring is open."""
    record = load_seal(connection)
    if record is None:
        return _last_seal(connection, table) == 0
    if record.is_sealed or record.key_version not in ring.versions or record.key_version is None:
        return False
    good = _tag(ring, record.key_version, record.sequence)
    return hmac.compare_digest(record.tag or b"", good) and _last_seal(connection, table) <= record.sequence


def store_sealed(connection: Connection, sequence: int, now_ms: int) -> None:
    _store(connection, {"is_sealed": True, "sequence": sequence, "changed_at_ms": now_ms})


def store_unsealed(connection: Connection, ring: KeyRing, sequence: int, now_ms: int) -> None:
    """Ends it. The ring is open."""
    proof = {"tag": _tag(ring, ring.version, sequence), "key_version": ring.version}
    _store(connection, {"is_sealed": False, "sequence": sequence, "changed_at_ms": now_ms, **proof})


def prove_anew(connection: Connection, ring: KeyRing, table: str) -> None:
    """Makes the tag under the current version of the key, where the record is proven by an older one."""
    record = load_seal(connection)
    if record is None or record.key_version == ring.version or not is_proven(connection, ring, table):
        return
    values = {"tag": _tag(ring, ring.version, record.sequence), "key_version": ring.version}
    connection.execute(tables.seal.update().where(tables.seal.c.id == RECORD_ID).values(values))


def _store(connection: Connection, values: dict[str, Any]) -> None:
    row = {"id": RECORD_ID, "tag": None, "key_version": None, "attempts": 0, "attempted_at_ms": 0, **values}
    upsert(connection, tables.seal, [row], [name for name in row if name != "id"])


def _last_seal(connection: Connection, table: str) -> int:
    """The number of the last audit row that says that the ledger was sealed; 0: none does."""
    columns = tables.audit.c
    # By the subject too, which has an index: every process asks this twice a second.
    query = select(func.max(columns.sequence)).where(columns.subject == table, columns.action == SEAL)
    return int(connection.execute(query).scalar() or 0)


def _tag(ring: KeyRing, version: int, sequence: int) -> bytes:
    return hmac.digest(ring.derive(version, PURPOSE), sequence.to_bytes(8, "big"), "sha256")


def _record(row: Row[Any]) -> SealRecord:
    return SealRecord(
        is_sealed=bool(row.is_sealed),
        sequence=row.sequence,
        tag=row.tag,
        key_version=row.key_version,
        attempts=row.attempts,
        attempted_at_ms=row.attempted_at_ms,
    )
