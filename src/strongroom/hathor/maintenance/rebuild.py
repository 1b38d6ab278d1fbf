"""Computes what the derived rows must be from transactions and outputs alone."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, false, select

from strongroom.core.storage.statements import Statement, arg, execute, listed, select_in
from strongroom.hathor import tables
from strongroom.hathor.index.addresses import (
    BALANCE_VALUES,
    BalanceRow,
    Flags,
    read_flags,
    select_balances,
)
from strongroom.hathor.index.effects import Pair, compute_effects
from strongroom.hathor.index.miners import MINERS
from strongroom.hathor.index.records import OUTPUTS_AT, TRANSACTIONS_BY_ID
from strongroom.hathor.index.rows import OutputRow, TransactionRow
from strongroom.hathor.index.wallets import ADDRESS_BALANCES, COUNTS

Key = tuple[str, ...]
Rows = dict[Key, tuple[Any, ...]]
_address, _caller, _balance = tables.address.c, tables.caller.c, tables.address_balance.c
_moved, _entry, _held = tables.address_tx_history.c, tables.wallet_tx_history.c, tables.wallet_balance.c
CALLERS_AT = Statement(select(_caller.tx_id, _caller.address, _caller.seqnum).where(listed(_caller.address)))
HISTORY_AT = Statement(
    select(_moved.address, _moved.tx_id, _moved.token_id, _moved.balance, _moved.timestamp).where(
        _moved.voided == false(), listed(_moved.address)
    )
)
HISTORY_OF_ADDRESSES = Statement(
    select(_moved.token_id, _moved.tx_id, _moved.balance, _moved.timestamp)
    .join(tables.address, _address.address == _moved.address)
    .where(_address.wallet_id == arg("wallet_id"), _moved.voided == false()),
    "wallet_id",
)
BALANCES_OF_ADDRESSES = Statement(
    select(_balance.token_id, *(_balance[name] for name in BALANCE_VALUES))
    .join(tables.address, _address.address == _balance.address)
    .where(_address.wallet_id == arg("wallet_id")),
    "wallet_id",
)
HISTORY = Statement(
    select(_entry.token_id, _entry.tx_id, _entry.balance, _entry.timestamp).where(
        _entry.wallet_id == arg("wallet_id"), _entry.voided == false()
    ),
    "wallet_id",
)
BALANCES = Statement(
    select_balances(tables.wallet_balance).where(_held.wallet_id == arg("wallet_id")), "wallet_id"
)


@dataclass(slots=True)
class Derived:
    """Rows of the derived tables, by table and primary key. They have the compared columns only."""

    tables: dict[str, Rows] = field(default_factory=lambda: defaultdict(dict))


def rebuild_addresses(connection: Connection, addresses: Sequence[str]) -> Derived:
    """Computes the rows of `address`, `address_balance`, `address_tx_history` and `miner` for these addresses."""
    outputs = [OutputRow.load(row) for row in select_in(connection, OUTPUTS_AT, addresses)]
    rows = select_in(connection, CALLERS_AT, addresses)
    callers = {tx_id: (address, seqnum) for tx_id, address, seqnum in rows}
    tx_ids = {output.tx_id for output in outputs} | callers.keys()
    tx_ids.update(output.spent_by for output in outputs if output.spent_by is not None)
    transactions: dict[str, TransactionRow] = {}
    for row in select_in(connection, TRANSACTIONS_BY_ID, tx_ids):
        transactions[row[0]] = TransactionRow.load(row)
    for output in outputs:
        output.stored = None  # the effects are then those of everything coming just now
    for transaction in transactions.values():
        transaction.stored = None
    known = tx_ids & transactions.keys()
    effects = compute_effects(outputs, transactions, callers, known)
    derived = Derived()
    for tx_id, entries in effects.after.items():
        timestamp_s = transactions[tx_id].timestamp_s
        for (address, token), value in entries.items():
            derived.tables["address_tx_history"][address, tx_id, token] = (value, timestamp_s)
    flags = read_flags(connection, sorted(effects.flags))
    for pair, delta in effects.balances.items():
        if delta.transactions > 0:
            balance = BalanceRow(flags=flags.get(pair))
            balance.add(delta)
            derived.tables["address_balance"][pair] = balance.values()
    known_addresses = {output.address for output in outputs} | {address for address, _ in callers.values()}
    for address in known_addresses:
        derived.tables["address"][(address,)] = (effects.transactions.get(address, 0),)
    derived.tables["miner"] = _miners(outputs)
    return derived


def stored_addresses(connection: Connection, addresses: Sequence[str]) -> Derived:
    """Reads the same rows as they are stored."""
    derived = Derived()
    for address, tx_id, token, balance, timestamp_s in select_in(connection, HISTORY_AT, addresses):
        derived.tables["address_tx_history"][address, tx_id, token] = (int(balance), timestamp_s)
    for address, token, *values in select_in(connection, ADDRESS_BALANCES, addresses):
        derived.tables["address_balance"][address, token] = BalanceRow.load(values).values()
    for address, count in select_in(connection, COUNTS, addresses):
        derived.tables["address"][(address,)] = (count,)
    for address, *miner in select_in(connection, MINERS, addresses):
        derived.tables["miner"][(address,)] = tuple(miner)
    return derived


def rebuild_wallet(connection: Connection, wallet_id: str) -> Derived:
    """Computes `wallet_tx_history` and `wallet_balance` of a wallet from the rows of its addresses."""
    derived = Derived()
    history: dict[Pair, list[int]] = {}
    for token, tx_id, balance, timestamp_s in execute(connection, HISTORY_OF_ADDRESSES, wallet_id):
        entry = history.setdefault((token, tx_id), [0, timestamp_s])
        entry[0] += int(balance)
    for (token, tx_id), (value, timestamp_s) in history.items():
        derived.tables["wallet_tx_history"][wallet_id, token, tx_id] = (value, timestamp_s)
    counts: dict[str, int] = defaultdict(int)
    for token, _tx_id in history:
        counts[token] += 1
    totals: dict[str, BalanceRow] = {}
    for token, *values in execute(connection, BALANCES_OF_ADDRESSES, wallet_id):
        row, total = BalanceRow.load(values), totals.setdefault(token, BalanceRow(flags=Flags()))
        total.unlocked += row.unlocked
        total.locked += row.locked
        total.received += row.received
        total.transactions = counts[token]
        if row.flags is not None and total.flags is not None:
            total.flags.add(row.flags.unlocked, row.flags.locked, row.flags.expires_s)
    for token, total in totals.items():
        derived.tables["wallet_balance"][wallet_id, token] = total.values()
    return derived


def stored_wallet(connection: Connection, wallet_id: str) -> Derived:
    derived = Derived()
    for token, tx_id, balance, timestamp_s in execute(connection, HISTORY, wallet_id):
        derived.tables["wallet_tx_history"][wallet_id, token, tx_id] = (int(balance), timestamp_s)
    for _wallet, token, *values in execute(connection, BALANCES, wallet_id):
        derived.tables["wallet_balance"][wallet_id, token] = BalanceRow.load(values).values()
    return derived


def _miners(outputs: Iterable[OutputRow]) -> Rows:
    blocks: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for output in outputs:
        if output.index == 0 and output.heightlock is not None and not output.voided:
            blocks[output.address].append((output.heightlock, output.tx_id))
    return {(address,): (min(found)[1], max(found)[1], len(found)) for address, found in blocks.items()}
