"""Computes what the derived rows must be, from transactions and outputs alone."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from strongroom.core.storage.statements import execute, select_in
from strongroom.hathor.index.addresses import BALANCE_SELECT, BalanceRow, Flags, read_flags
from strongroom.hathor.index.effects import Pair, compute_effects
from strongroom.hathor.index.records import OUTPUTS, TRANSACTIONS
from strongroom.hathor.index.rows import OutputRow, TransactionRow

Key = tuple[str, ...]
Rows = dict[Key, tuple[Any, ...]]


@dataclass(slots=True)
class Derived:
    """Rows of the derived tables by table and primary key; of some columns only."""

    tables: dict[str, Rows] = field(default_factory=lambda: defaultdict(dict))


def rebuild_addresses(connection: Connection, addresses: Sequence[str]) -> Derived:
    """`address`, `address_balance`, `address_tx_history` and `miner` for these addresses."""
    outputs = [OutputRow.load(row) for row in select_in(connection, OUTPUTS + "address IN {in}", addresses)]
    sql = "SELECT tx_id, address, seqnum FROM strongroom_hathor_caller WHERE address IN {in}"
    callers = {tx_id: (address, seqnum) for tx_id, address, seqnum in select_in(connection, sql, addresses)}
    tx_ids = {output.tx_id for output in outputs} | callers.keys()
    tx_ids.update(output.spent_by for output in outputs if output.spent_by is not None)
    transactions: dict[str, TransactionRow] = {}
    for row in select_in(connection, TRANSACTIONS + "tx_id IN {in}", tx_ids):
        transactions[row[0]] = TransactionRow.load(row)
    for output in outputs:
        output.stored = None  # as if all of it came just now
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
    """The same rows as they are stored."""
    derived = Derived()
    sql = (
        "SELECT address, tx_id, token_id, balance, timestamp FROM address_tx_history"
        " WHERE voided = 0 AND address IN {in}"
    )
    for address, tx_id, token, balance, timestamp_s in select_in(connection, sql, addresses):
        derived.tables["address_tx_history"][address, tx_id, token] = (int(balance), timestamp_s)
    sql = BALANCE_SELECT.format(owner="address", table="address_balance") + "address IN {in}"
    for address, token, *values in select_in(connection, sql, addresses):
        derived.tables["address_balance"][address, token] = BalanceRow.load(values).values()
    sql = "SELECT address, transactions FROM address WHERE address IN {in}"
    for address, count in select_in(connection, sql, addresses):
        derived.tables["address"][(address,)] = (count,)
    sql = "SELECT address, first_block, last_block, count FROM miner WHERE address IN {in}"
    for address, *miner in select_in(connection, sql, addresses):
        derived.tables["miner"][(address,)] = tuple(miner)
    return derived


def rebuild_wallet(connection: Connection, wallet_id: str) -> Derived:
    """`wallet_tx_history` and `wallet_balance` of a wallet, from the rows of its addresses."""
    derived = Derived()
    history: dict[Pair, list[int]] = {}
    sql = (
        "SELECT h.token_id, h.tx_id, h.balance, h.timestamp FROM address a"
        " JOIN address_tx_history h ON h.address = a.address WHERE a.wallet_id = {} AND h.voided = 0"
    )
    for token, tx_id, balance, timestamp_s in execute(connection, sql, wallet_id):
        entry = history.setdefault((token, tx_id), [0, timestamp_s])
        entry[0] += int(balance)
    for (token, tx_id), (value, timestamp_s) in history.items():
        derived.tables["wallet_tx_history"][wallet_id, token, tx_id] = (value, timestamp_s)
    counts: dict[str, int] = defaultdict(int)
    for token, _tx_id in history:
        counts[token] += 1
    totals: dict[str, BalanceRow] = {}
    columns = BALANCE_SELECT.format(owner="b.address", table="address a").removesuffix(" WHERE ")
    sql = columns.replace(" transactions", " b.transactions") + (
        " JOIN address_balance b ON b.address = a.address WHERE a.wallet_id = {}"
    )
    for _address, token, *values in execute(connection, sql, wallet_id):
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
    sql = "SELECT token_id, tx_id, balance, timestamp FROM wallet_tx_history WHERE wallet_id = {} AND voided = 0"
    for token, tx_id, balance, timestamp_s in execute(connection, sql, wallet_id):
        derived.tables["wallet_tx_history"][wallet_id, token, tx_id] = (int(balance), timestamp_s)
    sql = BALANCE_SELECT.format(owner="wallet_id", table="wallet_balance") + "wallet_id = {}"
    for _wallet, token, *values in execute(connection, sql, wallet_id):
        derived.tables["wallet_balance"][wallet_id, token] = BalanceRow.load(values).values()
    return derived


def _miners(outputs: Iterable[OutputRow]) -> Rows:
    blocks: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for output in outputs:
        if output.index == 0 and output.heightlock is not None and not output.voided:
            blocks[output.address].append((output.heightlock, output.tx_id))
    return {(address,): (min(found)[1], max(found)[1], len(found)) for address, found in blocks.items()}
