"""Reads and writes extrinsics: intents with their receipts. Each function runs in the caller's transaction."""

from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, select

from strongroom.bittensor import tables
from strongroom.bittensor.extrinsics.extrinsic import Extrinsic, Inclusion, Receipt, extrinsic_of
from strongroom.bittensor.protocol.failures import Failure
from strongroom.core.intents.store import intent_of
from strongroom.core.intents.tables import intent as intents
from strongroom.core.json_decoder import decode_json
from strongroom.core.storage.database import upsert

RECEIPT = tables.receipt.c
# The id of a receipt is the intent's.
_FIELDS: Final = [column for column in tables.receipt.columns if column.name != "id"]
_FIELD_NAMES: Final = [column.name for column in _FIELDS]
_BOTH: Final = select(intents, *_FIELDS).join_from(
    intents, tables.receipt, intents.c.id == RECEIPT.id, isouter=True
)
_BY_HASH: Final = _BOTH.where(intents.c.id == bindparam("which"))
_DROP: Final = delete(tables.receipt).where(RECEIPT.id == bindparam("which"))


def load(connection: Connection, extrinsic_hash: bytes) -> Extrinsic | None:
    row = connection.execute(_BY_HASH, {"which": extrinsic_hash}).first()
    return None if row is None else extrinsic_of(intent_of(row), _receipt(row))


def load_many(connection: Connection, hashes: Collection[bytes]) -> list[Extrinsic]:
    query = _BOTH.where(intents.c.id.in_(hashes))
    return [extrinsic_of(intent_of(row), _receipt(row)) for row in connection.execute(query)]


def load_receipts(connection: Connection, hashes: Collection[bytes]) -> dict[bytes, Receipt]:
    query = select(tables.receipt).where(RECEIPT.id.in_(hashes))
    return {row.id: _receipt(row) for row in connection.execute(query)}


def put_receipt(connection: Connection, extrinsic_hash: bytes, receipt: Receipt) -> None:
    """Stores a receipt in place of the earlier one; an empty receipt deletes it."""
    inclusion = receipt.inclusion
    failure = receipt.failure if inclusion is None else inclusion.failure
    if inclusion is None and failure is None:
        connection.execute(_DROP, {"which": extrinsic_hash})
        return
    row = {
        "id": extrinsic_hash,
        "block_number": inclusion.number if inclusion else None,
        "block_hash": inclusion.hash if inclusion else None,
        "block_index": inclusion.index if inclusion else None,
        "fee": inclusion.fee if inclusion else None,
        "success": inclusion.success if inclusion else None,
        "failure": None if failure is None else msgspec.json.encode(failure).decode(),
    }
    upsert(connection, tables.receipt, [row], _FIELD_NAMES)


def drop_receipts(connection: Connection, hashes: Sequence[bytes]) -> None:
    connection.execute(delete(tables.receipt).where(RECEIPT.id.in_(hashes)))


def _receipt(row: Row[Any]) -> Receipt:
    failure = None if row.failure is None else decode_json(row.failure, Failure)
    if row.block_hash is None:
        return Receipt(failure=failure)
    inclusion = Inclusion(
        number=row.block_number,
        hash=row.block_hash,
        index=row.block_index,
        fee=row.fee,
        success=row.success,
        failure=failure,
    )
    return Receipt(inclusion=inclusion)
