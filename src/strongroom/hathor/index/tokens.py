"""Writes tokens, who created them, and how many transactions touched each.

A token's counter leaves out the transaction that created it, as the original does (it counts from the moment when
the token's row is there).
"""

from collections import defaultdict

from sqlalchemy import Connection, delete, false, func, select, update

from strongroom.core.storage.statements import (
    Statement,
    arg,
    delete_in,
    execute,
    execute_many,
    listed,
    select_in,
    select_value,
    upsert_rows,
)
from strongroom.hathor import tables
from strongroom.hathor.index.batch_state import BatchState
from strongroom.hathor.index.effects import Effects, Entries
from strongroom.hathor.index.rows import TokenRow
from strongroom.hathor.protocol.transactions import HATHOR_TOKEN

_history, _token, _creation = tables.address_tx_history.c, tables.token.c, tables.token_creation.c
COUNT_TRANSACTIONS = Statement(
    select(func.count(_history.tx_id.distinct())).where(
        _history.token_id == arg("token_id"),
        _history.voided == false(),
        _history.tx_id != arg("creator"),
    ),
    "token_id",
    "creator",
)
SET_COUNT = Statement(
    update(tables.token).where(_token.id == arg("token_id")).values(transactions=arg("count")),
    "count",
    "token_id",
)
COUNTS = Statement(select(_token.id, _token.transactions).where(listed(_token.id)))
CREATORS = Statement(select(_creation.token_id, _creation.tx_id).where(listed(_creation.token_id)))
DELETE_TOKENS = Statement(delete(tables.token).where(listed(_token.id)))
DELETE_CREATIONS = Statement(delete(tables.token_creation).where(listed(_creation.token_id)))


def write_tokens(connection: Connection, state: BatchState, effects: Effects) -> None:
    """Call it after the histories are written: a new token is counted from them."""
    gone = [token_id for token_id in state.stored_tokens if token_id not in state.tokens]
    delete_in(connection, DELETE_CREATIONS, gone)
    delete_in(connection, DELETE_TOKENS, gone)
    new = [
        token
        for token in state.tokens.values()
        if token.name or state.stored_tokens.get(token.token_id) != (token.tx_id, token.first_block)
    ]
    _write_new(connection, new)
    recounted = {token.token_id for token in new}
    _add_counts(
        connection, {id_: n for id_, n in _count(connection, effects).items() if id_ not in recounted}
    )
    for token in new:
        count = select_value(connection, COUNT_TRANSACTIONS, token.token_id, token.tx_id)
        execute(connection, SET_COUNT, count, token.token_id)


def _write_new(connection: Connection, new: list[TokenRow]) -> None:
    upsert_rows(
        connection,
        tables.token,
        ("id", "name", "symbol", "version"),
        [(token.token_id, token.name, token.symbol, token.version) for token in new],
        ("name", "symbol", "version"),
    )
    upsert_rows(
        connection,
        tables.token_creation,
        ("token_id", "tx_id", "first_block"),
        [(token.token_id, token.tx_id, token.first_block) for token in new],
        ("tx_id", "first_block"),
    )


def _count(connection: Connection, effects: Effects) -> dict[str, int]:
    before = {tx_id: _token_ids(entries) for tx_id, entries in effects.before.items()}
    after = {tx_id: _token_ids(entries) for tx_id, entries in effects.after.items()}
    touched = {token for ids in (*before.values(), *after.values()) for token in ids}
    rows = select_in(connection, CREATORS, touched - {HATHOR_TOKEN})
    creators = {token_id: tx_id for token_id, tx_id in rows}  # noqa: C416 - a row is a tuple of any length
    counts: dict[str, int] = defaultdict(int)
    for sign, ids_by_tx in ((-1, before), (+1, after)):
        for tx_id, ids in ids_by_tx.items():
            for token_id in ids:
                if creators.get(token_id) != tx_id:
                    counts[token_id] += sign
    return counts


def _token_ids(entries: Entries) -> set[str]:
    return {token_id for _owner, token_id in entries}


def _add_counts(connection: Connection, counts: dict[str, int]) -> None:
    changed = {token_id: count for token_id, count in counts.items() if count}
    stored = select_in(connection, COUNTS, changed)
    rows = [(max(0, count + changed[token_id]), token_id) for token_id, count in stored]
    execute_many(connection, SET_COUNT, rows)
