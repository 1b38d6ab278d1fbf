"""Counts the blocks of each miner: the address of a block's first output."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, delete, false, select

from strongroom.core.storage.statements import (
    Statement,
    arg,
    delete_in,
    listed,
    select_in,
    select_value,
    upsert_rows,
)
from strongroom.hathor import tables
from strongroom.hathor.index.batch_state import BatchState
from strongroom.hathor.index.rows import TransactionRow
from strongroom.hathor.protocol.events import BLOCK_VERSIONS

_transaction, _output, _miner = tables.transaction.c, tables.tx_output.c, tables.miner.c
MINERS = Statement(
    select(_miner.address, _miner.first_block, _miner.last_block, _miner["count"]).where(
        listed(_miner.address)
    )
)
DELETE_MINERS = Statement(delete(tables.miner).where(listed(_miner.address)))


def _block_at_edge(order: ColumnElement[int]) -> Statement:
    """The first block of a miner in that order of heights."""
    return Statement(
        select(_transaction.tx_id)
        .join(tables.tx_output, (_output.tx_id == _transaction.tx_id) & (_output.index == 0))
        .where(
            _transaction.voided == false(),
            _transaction.version.in_(sorted(BLOCK_VERSIONS)),
            _output.address == arg("address"),
        )
        .order_by(order)
        .limit(1),
        "address",
    )


FIRST_BLOCK = _block_at_edge(_transaction.height.asc())
LAST_BLOCK = _block_at_edge(_transaction.height.desc())


@dataclass(slots=True)
class _Change:
    count: int = 0
    new: list[tuple[int, str]] = field(default_factory=list)
    """Height and id of blocks on top of all that was known."""
    in_order: bool = True


def write_miners(connection: Connection, state: BatchState, best_before: int) -> None:
    """Call it after transactions and outputs are written; `best_before` is the best height before the batch."""
    changes: dict[str, _Change] = {}
    for address, row in _turned_blocks(state):
        change = changes.setdefault(address, _Change())
        change.count += 1 if row.is_live else -1
        if row.is_live and row.height is not None and row.height > best_before:
            change.new.append((row.height, row.tx_id))
        else:
            change.in_order = False
    known = {row[0]: row[1:] for row in select_in(connection, MINERS, changes)}
    rows: list[tuple[str, str, str, int]] = []
    for address, change in changes.items():
        first, last, count = known.get(address, (None, None, 0))
        count = max(0, count + change.count)
        if count == 0:
            continue
        # New blocks on top need no question; after a reorganisation the edges are read from the chain.
        if change.in_order:
            first, last = first or min(change.new)[1], max(change.new)[1]
        else:
            first = select_value(connection, FIRST_BLOCK, address)
            last = select_value(connection, LAST_BLOCK, address)
        rows.append((address, first, last, count))
    columns = ("address", "first_block", "last_block", "count")
    upsert_rows(connection, tables.miner, columns, rows, columns[1:])
    gone = changes.keys() - {row[0] for row in rows}
    delete_in(connection, DELETE_MINERS, gone)


def _turned_blocks(state: BatchState) -> Iterator[tuple[str, TransactionRow]]:
    """Yields the blocks that the batch brought into the chain or took out of it, with their miner."""
    for row in state.transactions.values():
        if row.version in BLOCK_VERSIONS and row.was_live != row.is_live:
            output = state.outputs.get((row.tx_id, 0))
            if output is not None:
                yield output.address, row
