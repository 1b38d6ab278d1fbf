"""Reads and writes the record of the chain: transactions, outputs, callers."""

from collections.abc import Iterable

from sqlalchemy import Connection

from strongroom.core.storage.statements import delete_in, execute, execute_many, select_in, upsert_rows
from strongroom.hathor import tables
from strongroom.hathor.index.batch_state import TOKEN_CREATION, BatchState
from strongroom.hathor.index.rows import (
    OUTPUT_COLUMNS,
    TRANSACTION_COLUMNS,
    Heights,
    OutputRow,
    TokenRow,
    TransactionRow,
)
from strongroom.hathor.protocol.events import Event, TokenCreated, Vertex

TRANSACTIONS = (
    "SELECT tx_id, timestamp, version, voided, height, weight, first_block FROM `transaction` WHERE "
)
OUTPUTS = (
    "SELECT tx_id, `index`, token_id, address, value, authorities, timelock, heightlock,"
    " locked, spent_by, voided FROM tx_output WHERE "
)
TOKENS = "SELECT token_id, tx_id, first_block FROM token_creation WHERE "
HEIGHT = (
    "SELECT height FROM `transaction` WHERE {where} version IN (0, 3, 5) AND height IS NOT NULL"
    " ORDER BY height DESC LIMIT 1"
)
# The proposal whose transaction fell; one that is open holds its outputs on, and so does one that is sent again.
FORGET_PROPOSAL = (
    "UPDATE tx_output SET tx_proposal = NULL, tx_proposal_index = NULL WHERE tx_id = {} AND `index` = {}"
    " AND NOT EXISTS (SELECT 1 FROM tx_proposal p WHERE p.id = tx_output.tx_proposal"
    " AND p.status IN ('open', 'send_error'))"
)
FORGET_HOLD = (
    "DELETE FROM strongroom_hathor_held_output WHERE tx_id = {} AND `index` = {} AND NOT EXISTS (SELECT 1"
    " FROM tx_proposal p WHERE p.id = strongroom_hathor_held_output.proposal_id AND p.status IN ('open', 'send_error'))"
)
CHANGEABLE = ("locked", "spent_by", "voided")


def load(connection: Connection, state: BatchState, events: Iterable[Event]) -> None:
    """Reads what `events` may change: the vertices they name, and the outputs these make and spend."""
    vertices = [event.data for event in events if isinstance(event.data, Vertex)]
    created = [event.data for event in events if isinstance(event.data, TokenCreated)]
    load_transactions(connection, state, {vertex.hash for vertex in vertices})
    known = state.transactions
    turning = [vertex for vertex in vertices if _may_turn(state, vertex)]
    wanted = {vertex.hash for vertex in turning if vertex.hash in known}
    fresh = {vertex.hash for vertex in turning}
    wanted.update(
        spent.tx_id
        for vertex in turning
        for spent in vertex.inputs
        if spent.tx_id in known or spent.tx_id not in fresh
    )
    state.load_outputs(map(OutputRow.load, select_in(connection, OUTPUTS + "tx_id IN {in}", wanted)))
    creators = {vertex.hash for vertex in vertices if vertex.headers or vertex.version == TOKEN_CREATION}
    creators.update(token.creator for token in created)
    for column, values in (("tx_id", creators), ("token_id", {token.token_uid for token in created})):
        rows = select_in(connection, f"{TOKENS}{column} IN {{in}}", values)
        state.load_tokens(TokenRow(*row) for row in rows)


def load_transactions(connection: Connection, state: BatchState, tx_ids: Iterable[str]) -> None:
    rows = select_in(connection, TRANSACTIONS + "tx_id IN {in}", tx_ids)
    state.load_transactions(map(TransactionRow.load, rows))


def complete(connection: Connection, state: BatchState, affected: set[str]) -> None:
    """Reads the rest of the affected transactions: every output they make or spend, and who called them."""
    load_transactions(connection, state, affected - state.transactions.keys())
    known = [tx_id for tx_id in affected if state.transactions[tx_id].stored is not None]
    for column in ("tx_id", "spent_by"):
        rows = select_in(connection, f"{OUTPUTS}{column} IN {{in}}", known)
        state.load_outputs(map(OutputRow.load, rows))
    sql = "SELECT tx_id, address, seqnum FROM strongroom_hathor_caller WHERE tx_id IN {in}"
    for tx_id, address, seqnum in select_in(connection, sql, known):
        state.callers.setdefault(tx_id, (address, seqnum))


def write_transactions(connection: Connection, state: BatchState) -> None:
    rows = [
        row.values() for row in state.transactions.values() if not row.removed and row.stored != row.values()
    ]
    upsert_rows(
        connection, tables.transaction, TRANSACTION_COLUMNS, rows, ("voided", "height", "first_block")
    )
    removed = [row.tx_id for row in state.transactions.values() if row.removed and row.stored is not None]
    delete_in(connection, "DELETE FROM `transaction` WHERE tx_id IN {in}", removed)


def write_callers(connection: Connection, state: BatchState) -> None:
    """Call it when the batch is complete: what is deleted here was part of what was before."""
    removed = [row.tx_id for row in state.transactions.values() if row.removed and row.stored is not None]
    delete_in(connection, "DELETE FROM strongroom_hathor_caller WHERE tx_id IN {in}", removed)
    callers = [
        (tx_id, address, seqnum)
        for tx_id, (address, seqnum) in state.new_callers.items()
        if not state.transactions[tx_id].removed
    ]
    upsert_rows(connection, tables.caller, ("tx_id", "address", "seqnum"), callers, ("address", "seqnum"))


def write_outputs(connection: Connection, state: BatchState) -> None:
    changed = [output for output in state.outputs.values() if output.stored != output.state]
    rows = [output.values() for output in changed if not output.removed]
    upsert_rows(connection, tables.tx_output, OUTPUT_COLUMNS, rows, CHANGEABLE)
    removed = [(output.tx_id, output.index) for output in changed if output.removed]
    execute_many(connection, "DELETE FROM tx_output WHERE tx_id = {} AND `index` = {}", removed)
    freed = [(output.tx_id, output.index) for output in state.released if output.spent_by is None]
    execute_many(connection, FORGET_PROPOSAL, freed)
    execute_many(connection, FORGET_HOLD, freed)


def read_heights(connection: Connection) -> Heights:
    best, highest = (execute(connection, HEIGHT.format(where=where)) for where in ("voided = 0 AND", ""))
    return Heights(best=best[0][0] if best else -1, highest=highest[0][0] if highest else -1)


def _may_turn(state: BatchState, vertex: Vertex) -> bool:
    """Whether the event may make a transaction part of the ledger, or take it out."""
    row = state.transactions.get(vertex.hash)
    if row is None:
        return not vertex.voided
    return vertex.metadata is None or vertex.voided != row.voided
