"""Holds outputs for a proposal, so that no other proposal spends them.

The mark is the original's, `tx_output.tx_proposal`. It is set under the row lock of the output. A second table has a row
for each held output, whose key is unique: it refuses a second holder where the mark fails to. Marks of a sent proposal
stay, as in the original: `spent_by` takes over from them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, insert, or_, select, update

from strongroom.core.chunks import chunks
from strongroom.core.errors import Conflict
from strongroom.core.storage.database import locking
from strongroom.core.storage.errors import Duplicate
from strongroom.core.storage.statements import (
    Statement,
    arg,
    execute,
    execute_many,
    listed,
    select_in,
)
from strongroom.hathor import tables

Outpoint = tuple[str, int]
LOCKED_AT_A_TIME = 100
"""Outputs in one statement: with far more conditions MySQL forgets the index, and would lock the whole table."""
_output, _held, _address = tables.tx_output.c, tables.held_output.c, tables.address.c
MARK = Statement(
    update(tables.tx_output)
    .where(_output.tx_id == arg("tx_id"), _output.index == arg("index"))
    .values(tx_proposal=arg("proposal_id"), tx_proposal_index=arg("place")),
    "proposal_id",
    "place",
    "tx_id",
    "index",
)
UNMARK = Statement(
    update(tables.tx_output)
    .where(_output.tx_proposal == arg("proposal_id"))
    .values(tx_proposal=None, tx_proposal_index=None),
    "proposal_id",
)
HOLD = Statement(
    insert(tables.held_output).values(proposal_id=arg("proposal_id"), tx_id=arg("tx_id"), index=arg("index")),
    "proposal_id",
    "tx_id",
    "index",
)
DROP_HOLDS = Statement(
    delete(tables.held_output).where(_held.proposal_id == arg("proposal_id")), "proposal_id"
)
KEYS = Statement(
    select(_address.address, _address.index, _address.bip32_account).where(
        listed(_address.address), _address.wallet_id == arg("wallet_id")
    ),
    "wallet_id",
)


class ProposalRefused(Conflict):
    """A request about a proposal is refused; `error` is the original's code for the reason."""

    def __init__(self, error: str, /, **details: object) -> None:
        super().__init__(f"The proposal is refused: {error}", code=error)
        self.error = error
        self.details = details


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedUtxo:
    """An output of the wallet, and the index and account of its key."""

    tx_id: str
    index: int
    address: str
    key_index: int
    account: int


def hold(
    connection: Connection, wallet_id: str, proposal_id: str, outpoints: Sequence[Outpoint]
) -> list[LockedUtxo]:
    """Holds outputs for a proposal: all of them, or none.

    Raises:
        ProposalRefused: one is unknown, spent, voided, another wallet's, or held already.
    """
    rows = _lock(connection, outpoints)
    if missing := [outpoint for outpoint in outpoints if not _is_free(rows.get(outpoint))]:
        raise ProposalRefused("inputs-not-found", missing=_encode(missing))
    held = _owned(connection, wallet_id, outpoints, rows)
    if any(rows[outpoint].tx_proposal is not None for outpoint in outpoints):
        raise ProposalRefused("inputs-already-used")
    marks = [(proposal_id, place, *outpoint) for place, outpoint in enumerate(sorted(outpoints))]
    execute_many(connection, MARK, marks)
    try:
        execute_many(connection, HOLD, [(proposal_id, *outpoint) for outpoint in outpoints])
    except Duplicate as error:
        # The mark says that the output is free and the row says that it is held: the row is right, its key is unique.
        raise ProposalRefused("inputs-already-used") from error
    return held


def release(connection: Connection, proposal_id: str) -> None:
    """Frees all outputs of the proposal."""
    execute(connection, UNMARK, proposal_id)
    drop_holds(connection, proposal_id)


def drop_holds(connection: Connection, proposal_id: str) -> None:
    """Drops the holds and leaves the marks."""
    execute(connection, DROP_HOLDS, proposal_id)


def _lock(connection: Connection, outpoints: Sequence[Outpoint]) -> dict[Outpoint, Row[Any]]:
    """Locks outputs, always in the same order, so that two proposals never wait for each other."""
    table = tables.tx_output
    columns = (table.c.tx_id, table.c.index, table.c.address, table.c.spent_by, table.c.voided)
    found: dict[Outpoint, Row[Any]] = {}
    for chunk in chunks(sorted(outpoints), LOCKED_AT_A_TIME):
        wanted = or_(*(and_(table.c.tx_id == tx_id, table.c.index == index) for tx_id, index in chunk))
        query = locking(select(*columns, table.c.tx_proposal).where(wanted))
        found.update(((row[0], row[1]), row) for row in connection.execute(query))
    return found


def _is_free(row: Row[Any] | None) -> bool:
    return row is not None and row.spent_by is None and not row.voided


def _owned(
    connection: Connection, wallet_id: str, outpoints: Sequence[Outpoint], rows: dict[Outpoint, Row[Any]]
) -> list[LockedUtxo]:
    addresses = {rows[outpoint].address for outpoint in outpoints}
    keys = {row[0]: row for row in select_in(connection, KEYS, sorted(addresses), wallet_id)}
    if denied := [outpoint for outpoint in outpoints if rows[outpoint].address not in keys]:
        raise ProposalRefused("inputs-not-in-wallet", missing=_encode(denied))
    held: list[LockedUtxo] = []
    for tx_id, index in outpoints:
        # An adopted row may lack the account; then it is the first one.
        address, key_index, account = keys[rows[tx_id, index].address]
        held.append(
            LockedUtxo(tx_id=tx_id, index=index, address=address, key_index=key_index, account=account or 0)
        )
    return held


def _encode(outpoints: Sequence[Outpoint]) -> list[dict[str, object]]:
    return [{"txId": tx_id, "index": index} for tx_id, index in outpoints]
