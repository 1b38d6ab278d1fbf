"""Puts messages for wallets into the outbox: full transactions, in the form of the wallets' WebSocket.

The messages are written in the transaction of the batch, so none runs ahead of its data nor survives a rollback.
"""

import base64
from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from strongroom.core.messaging.outbox import Event as Message
from strongroom.core.messaging.outbox import Outbox
from strongroom.core.storage.statements import Statement, listed, select_in
from strongroom.hathor import tables
from strongroom.hathor.index.batch_state import BatchState
from strongroom.hathor.index.records import complete
from strongroom.hathor.notifications.outbox import NewTransaction
from strongroom.hathor.protocol.events import Output, SpentOutput, Vertex

DESTINATION = "hathor.wallets"
_entry = tables.wallet_tx_history.c
OWNERS = Statement(select(_entry.wallet_id, _entry.tx_id).distinct().where(listed(_entry.tx_id)))


def append_messages(
    connection: Connection,
    outbox: Outbox,
    state: BatchState,
    touched: Mapping[str, set[str]],
) -> list[NewTransaction]:
    """Adds one message for each transaction and wallet: `new-tx` when it came, `update-tx` when it changed later.

    The stream is the wallet's id and the sequence the id of the event, in whose order the messages are added. Returns the
    new transactions that are not voided.
    """
    wallets: dict[str, set[str]] = {}
    for wallet_id, tx_ids in touched.items():
        for tx_id in tx_ids:
            wallets.setdefault(tx_id, set()).add(wallet_id)
    # A confirmation changes no balance, so the batch does not know whose transaction it is.
    confirmed = [tx_id for tx_id in state.changed if tx_id not in wallets]
    for wallet_id, tx_id in select_in(connection, OWNERS, confirmed):
        wallets.setdefault(tx_id, set()).add(wallet_id)
    complete(connection, state, set(wallets))
    messages: list[Message] = []
    news: list[NewTransaction] = []
    for tx_id, owners in wallets.items():
        told = state.accepted.get(tx_id) or state.changed.get(tx_id)
        if told is None:
            continue
        event_id, vertex = told
        row = state.transactions[tx_id]
        kind = "new-tx" if row.stored is None else "update-tx"
        body = {"type": kind, "data": transaction_message(state, vertex, voided=not row.is_live)}
        payload = msgspec.json.encode(body).decode()
        messages.extend(Message(stream=owner, sequence=event_id, payload=payload) for owner in sorted(owners))
        if row.stored is None and row.is_live:
            news.append(
                NewTransaction(
                    tx_id=tx_id, event_id=event_id, timestamp_s=vertex.timestamp, wallets=sorted(owners)
                )
            )
    outbox.append(connection, DESTINATION, sorted(messages, key=lambda message: message.sequence))
    return sorted(news, key=lambda each: each.event_id)


def transaction_message(state: BatchState, vertex: Vertex, *, voided: bool) -> dict[str, Any]:
    return {
        "tx_id": vertex.hash,
        "nonce": vertex.nonce,
        "timestamp": vertex.timestamp,
        "version": vertex.version,
        "voided": voided,
        "weight": vertex.weight,
        "parents": vertex.parents,
        "inputs": _inputs(state, vertex),
        "outputs": _outputs(state, vertex),
        "headers": vertex.headers,
        "height": vertex.height,
        "token_name": vertex.token_name,
        "token_symbol": vertex.token_symbol,
        "signal_bits": vertex.signal_bits,
        "shielded_outputs": [],
        "addresses": sorted(_addresses(state, vertex)),
    }


def _addresses(state: BatchState, vertex: Vertex) -> set[str]:
    outpoints = [(vertex.hash, index) for index in range(len(vertex.outputs))]
    outpoints += [(spent.tx_id, spent.index) for spent in vertex.inputs]
    found = {row.address for outpoint in outpoints if (row := state.outputs.get(outpoint)) is not None}
    caller = state.callers.get(vertex.hash)
    return found if caller is None else found | {caller[0]}


def _inputs(state: BatchState, vertex: Vertex) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for spent in vertex.inputs:
        source = state.outputs.get((spent.tx_id, spent.index))
        if source is None:
            continue  # no address owned it, so no wallet misses it
        found.append(
            {
                "tx_id": spent.tx_id,
                "index": spent.index,
                "value": spent.spent_output.value,
                "token_data": spent.spent_output.token_data,
                "script": _script(spent.spent_output),
                "token": source.token_id,
                "decoded": _decoded(spent.spent_output),
            }
        )
    return found


def _outputs(state: BatchState, vertex: Vertex) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for index, output in enumerate(vertex.outputs):
        row = state.outputs.get((vertex.hash, index))
        if row is None:
            continue
        found.append(
            {
                "value": output.value,
                "tokenData": output.token_data,
                "token_data": output.token_data,
                "script": _script(output),
                "decodedScript": None,
                "token": row.token_id,
                "locked": row.locked,
                "index": index,
                "decoded": _decoded(output),
            }
        )
    return found


def _script(output: Output | SpentOutput) -> dict[str, Any]:
    return {"type": "Buffer", "data": list(base64.b64decode(output.script))}


def _decoded(output: Output | SpentOutput) -> dict[str, Any]:
    decoded = output.decoded
    if decoded is None:
        return {}
    return {"type": decoded.type, "address": decoded.address, "timelock": decoded.timelock}
