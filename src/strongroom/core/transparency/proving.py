"""Makes receipts of payments, and proofs that one checkpoint continues another."""

import base64
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, select

from strongroom.core.errors import Conflict, NotFound
from strongroom.core.intents.store import load_intent
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from strongroom.core.transparency.checker import HEAD, INDEX, MAGIC
from strongroom.core.transparency.checkpoint import (
    Checkpoint,
    CheckpointsBroken,
    Ranges,
    document_of,
    log_leaf,
)
from strongroom.core.transparency.merkle import consistency_path, inclusion_path, tree_root
from strongroom.core.transparency.rows import SIGNATURES, LaneRow, lane_row, load_range
from strongroom.core.transparency.store import Stored, load_checkpoints, load_covering

CHUNK: Final = 1_000


class NotCovered(Conflict):
    """No checkpoint covers the row yet."""

    code = "not_covered"


class Proofs:
    """Of one ledger's audit trail. They need no key: checkpoints are signed already."""

    def __init__(self, ledger: str, database: Database) -> None:
        self._ledger = ledger
        self._database = database

    async def receipt(self, payment_id: bytes) -> str:
        """A line of text, of at most 1 KiB, that proves that the trail has the payment's row.

        Raises:
            NotFound: there is no such payment, or its row does not name it.
            NotCovered: no checkpoint covers it yet.
            CheckpointsBroken: the rows are not those that the checkpoint covers.
        """
        row, stored = await self._database.read(partial(self._find, payment_id=payment_id))
        rows = await self._batch(stored)
        leaves = [each.leaf for each in rows]
        if tree_root(leaves) != stored.checkpoint.batch_root or row not in rows:
            raise CheckpointsBroken(
                f"The rows of checkpoint {stored.checkpoint.number} are not those that it was signed for:"
                " `strongroom audit verify` names what is wrong"
            )
        index = rows.index(row)
        return _receipt(stored.checkpoint, row, index, inclusion_path(leaves, index))

    async def consistency(self, earlier: int, later: int) -> dict[str, Any]:
        """`consistent` as a document."""
        first, last, path = await self.consistent(earlier, later)
        return {"earlier": document_of(first), "later": document_of(last), "path": path}

    async def consistent(self, earlier: int, later: int) -> tuple[Checkpoint, Checkpoint, list[str]]:
        """Two checkpoints, and the path that proves that the log of the later one begins with all of the earlier one.

        Raises:
            NotFound: there is no such checkpoint.
            CheckpointsBroken: what is stored of them was changed.
        """
        leaves, ends = list[bytes](), dict[int, Checkpoint]()
        while len(leaves) < later:
            found = await self._database.read(
                partial(load_checkpoints, ledger=self._ledger, after=len(leaves), limit=CHUNK)
            )
            if not found or found[0].checkpoint.number != len(leaves) + 1:
                break
            for one in found:
                leaves.append(log_leaf(one.checkpoint, _ranges(one)))
                if one.checkpoint.number in {earlier, later}:
                    ends[one.checkpoint.number] = one.checkpoint
        if earlier > later or not ends.keys() >= {earlier, later}:
            raise NotFound(f"There are no checkpoints {earlier} and {later}", code="checkpoint_not_found")
        path = consistency_path(leaves[:later], earlier)
        return ends[earlier], ends[later], [node.hex() for node in path]

    def _find(self, connection: Connection, payment_id: bytes) -> tuple[LaneRow, Stored]:
        intent = load_intent(connection, payment_id)
        if intent is None:
            raise NotFound("This ledger has no payment with this id", code="payment_not_found")
        columns = tables.audit.c
        query = (
            select(tables.audit)
            .where(
                columns.subject == intent.account,
                columns.action.in_(SIGNATURES),
                columns.details.contains(payment_id.hex().upper(), autoescape=True),
            )
            .order_by(columns.sequence)
        )
        found = (lane_row(row) for row in connection.execute(query))
        row = next((each for each in found if each.payment == payment_id), None)
        if row is None:
            raise NotFound(
                "The audit trail has no row that names this payment: an earlier version signed it, or the row was"
                " changed, which `strongroom audit verify` finds out",
                code="payment_row_not_found",
            )
        stored = load_covering(connection, self._ledger, row.lane, row.number, row.at_ms)
        if stored is None:
            raise NotCovered(
                "No checkpoint covers this payment yet. The running service makes one within"
                " STRONGROOM_CHECKPOINT_SECONDS, and `strongroom audit checkpoint` at once"
            )
        return row, stored

    async def _batch(self, stored: Stored) -> Sequence[LaneRow]:
        return [row async for row in load_range(self._database, _ranges(stored).by_lane)]


def _ranges(stored: Stored) -> Ranges:
    try:
        return Ranges.parse(stored.ranges)
    except (ValueError, msgspec.MsgspecError):
        raise CheckpointsBroken(
            f"What checkpoint {stored.checkpoint.number} covers was changed: `strongroom audit verify` names what is wrong"
        ) from None


def _receipt(one: Checkpoint, row: LaneRow, index: int, path: Sequence[bytes]) -> str:
    name = one.ledger.encode()
    head = HEAD.pack(one.number, one.at_ms, one.rows, one.batch_rows, one.root, one.previous, one.signature)
    parts = [MAGIC, bytes([len(name)]), name, head, row.entry, INDEX.pack(index), *path]
    return base64.urlsafe_b64encode(b"".join(parts)).decode().rstrip("=")
