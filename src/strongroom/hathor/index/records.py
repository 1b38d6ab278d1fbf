"""Reads and writes the record of the chain: transactions, outputs, callers of contracts."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Select, delete, false, null, select, update
from sqlalchemy.sql import exists

from strongroom.core.storage.statements import (
    Statement,
    arg,
    delete_by_key,
    delete_in,
    execute_many,
    listed,
    select_in,
    select_value,
    upsert_rows,
)
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
from strongroom.hathor.protocol.events import BLOCK_VERSIONS, Event, TokenCreated, Vertex

_transaction, _output, _creation = tables.transaction.c, tables.tx_output.c, tables.token_creation.c
_caller, _proposal, _held = tables.caller.c, tables.tx_proposal.c, tables.held_output.c
TRANSACTIONS = select(*(_transaction[name] for name in TRANSACTION_COLUMNS))
OUTPUTS = select(*(_output[name] for name in OUTPUT_COLUMNS))
TRANSACTIONS_BY_ID = Statement(TRANSACTIONS.where(listed(_transaction.tx_id)))
OUTPUTS_OF = Statement(OUTPUTS.where(listed(_output.tx_id)))
OUTPUTS_SPENT_BY = Statement(OUTPUTS.where(listed(_output.spent_by)))
OUTPUTS_AT = Statement(OUTPUTS.where(listed(_output.address)))
_TOKENS = select(_creation.token_id, _creation.tx_id, _creation.first_block)
TOKENS_MADE_BY = Statement(_TOKENS.where(listed(_creation.tx_id)))
TOKENS_BY_ID = Statement(_TOKENS.where(listed(_creation.token_id)))
CALLERS = Statement(select(_caller.tx_id, _caller.address, _caller.seqnum).where(listed(_caller.tx_id)))
DELETE_TRANSACTIONS = Statement(delete(tables.transaction).where(listed(_transaction.tx_id)))
DELETE_CALLERS = Statement(delete(tables.caller).where(listed(_caller.tx_id)))
DELETE_OUTPUT = delete_by_key(tables.tx_output)


def block_heights() -> Select[Any]:
    """The heights of blocks, voided ones too, the highest first."""
    return (
        select(_transaction.height)
        .where(_transaction.version.in_(sorted(BLOCK_VERSIONS)), _transaction.height.is_not(None))
        .order_by(_transaction.height.desc())
        .limit(1)
    )


MAX_HEIGHT = Statement(block_heights())
BEST = Statement(block_heights().where(_transaction.voided == false()))
# A proposal whose transaction was voided loses its outputs. One that is open keeps them, and so does a failed one that is
# being sent again.
_SENDABLE = _proposal.status.in_(tables.SENDABLE_STATUSES)
FORGET_PROPOSAL = Statement(
    update(tables.tx_output)
    .where(
        _output.tx_id == arg("tx_id"),
        _output.index == arg("index"),
        ~exists().where(_proposal.id == _output.tx_proposal, _SENDABLE),
    )
    .values(tx_proposal=null(), tx_proposal_index=null()),
    "tx_id",
    "index",
)
FORGET_HOLD = Statement(
    delete(tables.held_output).where(
        _held.tx_id == arg("tx_id"),
        _held.index == arg("index"),
        ~exists().where(_proposal.id == _held.proposal_id, _SENDABLE),
    ),
    "tx_id",
    "index",
)
CHANGEABLE = ("locked", "spent_by", "voided")


def load(connection: Connection, state: BatchState, events: Iterable[Event]) -> None:
    """Reads the rows that `events` may change: the vertices they name, and the outputs that these make and spend."""
    vertices = [event.data for event in events if isinstance(event.data, Vertex)]
    created = [event.data for event in events if isinstance(event.data, TokenCreated)]
    load_transactions(connection, state, {vertex.hash for vertex in vertices})
    known = state.transactions
    # Most events confirm what is known; only a vertex that enters or leaves the ledger needs its outputs.
    turning = [vertex for vertex in vertices if _may_turn(state, vertex)]
    wanted = {vertex.hash for vertex in turning if vertex.hash in known}
    fresh = {vertex.hash for vertex in turning}
    wanted.update(
        spent.tx_id
        for vertex in turning
        for spent in vertex.inputs
        if spent.tx_id in known or spent.tx_id not in fresh
    )
    state.load_outputs(map(OutputRow.load, select_in(connection, OUTPUTS_OF, wanted)))
    creators = {vertex.hash for vertex in vertices if vertex.headers or vertex.version == TOKEN_CREATION}
    creators.update(token.creator for token in created)
    named = {token.token_uid for token in created}
    for statement, values in ((TOKENS_MADE_BY, creators), (TOKENS_BY_ID, named)):
        rows = select_in(connection, statement, values)
        state.load_tokens(TokenRow(*row) for row in rows)


def load_transactions(connection: Connection, state: BatchState, tx_ids: Iterable[str]) -> None:
    rows = select_in(connection, TRANSACTIONS_BY_ID, tx_ids)
    state.load_transactions(map(TransactionRow.load, rows))


def complete(connection: Connection, state: BatchState, affected: set[str]) -> None:
    """Reads the rest of the affected transactions: every output that they make or spend, and their callers."""
    load_transactions(connection, state, affected - state.transactions.keys())
    known = [tx_id for tx_id in affected if state.transactions[tx_id].stored is not None]
    for statement in (OUTPUTS_OF, OUTPUTS_SPENT_BY):
        rows = select_in(connection, statement, known)
        state.load_outputs(map(OutputRow.load, rows))
    for tx_id, address, seqnum in select_in(connection, CALLERS, known):
        state.callers.setdefault(tx_id, (address, seqnum))


def write_transactions(connection: Connection, state: BatchState) -> None:
    rows = [
        row.values() for row in state.transactions.values() if not row.removed and row.stored != row.values()
    ]
    upsert_rows(
        connection, tables.transaction, TRANSACTION_COLUMNS, rows, ("voided", "height", "first_block")
    )
    removed = [row.tx_id for row in state.transactions.values() if row.removed and row.stored is not None]
    delete_in(connection, DELETE_TRANSACTIONS, removed)


def write_callers(connection: Connection, state: BatchState) -> None:
    """Writes callers. Call it after the effects are computed: these need the callers that are deleted here."""
    removed = [row.tx_id for row in state.transactions.values() if row.removed and row.stored is not None]
    delete_in(connection, DELETE_CALLERS, removed)
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
    execute_many(connection, DELETE_OUTPUT, removed)
    freed = [(output.tx_id, output.index) for output in state.released if output.spent_by is None]
    execute_many(connection, FORGET_PROPOSAL, freed)
    execute_many(connection, FORGET_HOLD, freed)


def read_heights(connection: Connection) -> Heights:
    best, highest = select_value(connection, BEST), select_value(connection, MAX_HEIGHT)
    return Heights(best=-1 if best is None else best, highest=-1 if highest is None else highest)


def _may_turn(state: BatchState, vertex: Vertex) -> bool:
    """Whether the event may bring a transaction into the ledger, or take it out."""
    row = state.transactions.get(vertex.hash)
    if row is None:
        return not vertex.voided
    return vertex.metadata is None or vertex.voided != row.voided
