"""Writes what a batch did to addresses: their counters, histories and balances."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, Table, false, or_, select

from strongroom.core.storage.statements import (
    Statement,
    arg,
    delete_by_key,
    execute_many,
    listed,
    paired,
    select_in,
    select_pairs,
    upsert_rows,
)
from strongroom.hathor import tables
from strongroom.hathor.index.batch_state import BatchState
from strongroom.hathor.index.effects import Delta, Effects, Pair

BALANCE_VALUES = (
    "unlocked_balance",
    "locked_balance",
    "unlocked_authorities",
    "locked_authorities",
    "timelock_expires",
    "transactions",
    "total_received",
)
HISTORY_COLUMNS = ("address", "tx_id", "token_id", "balance", "timestamp", "voided")
MANY = 50
"""With so many addresses of one token, a list of them costs less than a list of pairs."""


def select_balances(table: Table) -> Select[Any]:
    """The key and `BALANCE_VALUES` of `address_balance` or `wallet_balance`."""
    return select(*table.primary_key.columns, *(table.c[name] for name in BALANCE_VALUES))


_address, _balance, _output = tables.address.c, tables.address_balance.c, tables.tx_output.c
ADDRESSES = Statement(
    select(
        _address.address,
        _address.index,
        _address.wallet_id,
        _address.transactions,
        _address.seqnum,
        _address.bip32_account,
    ).where(listed(_address.address))
)
BALANCES = Statement(
    select_balances(tables.address_balance).where(paired(_balance.address, _balance.token_id))
)
BALANCES_OF_TOKEN = Statement(
    select_balances(tables.address_balance).where(
        listed(_balance.address), _balance.token_id == arg("token_id")
    ),
    "token_id",
)
FLAGGED = Statement(
    select(_output.address, _output.token_id, _output.locked, _output.authorities, _output.timelock).where(
        paired(_output.address, _output.token_id),
        _output.spent_by.is_(None),
        _output.voided == false(),
        or_(_output.authorities > 0, _output.timelock.is_not(None)),
    )
)
DELETE_HISTORY = delete_by_key(tables.address_tx_history)
DELETE_BALANCE = delete_by_key(tables.address_balance)


@dataclass(slots=True)
class Flags:
    """Authorities as bits, and when the next locked output opens (unix seconds)."""

    unlocked: int = 0
    locked: int = 0
    expires_s: int | None = None

    def add(self, unlocked: int, locked: int, expires_s: int | None) -> None:
        self.unlocked |= unlocked
        self.locked |= locked
        if expires_s is not None and (self.expires_s is None or expires_s < self.expires_s):
            self.expires_s = expires_s


@dataclass(slots=True)
class BalanceRow:
    """A row of `address_balance` or `wallet_balance`."""

    unlocked: int = 0
    locked: int = 0
    flags: Flags | None = None
    transactions: int = 0
    received: int = 0

    @classmethod
    def load(cls, values: Sequence[Any]) -> "BalanceRow":
        """Makes a row of the columns `BALANCE_VALUES`."""
        unlocked, locked, unlocked_bits, locked_bits, expires_s, transactions, received = values
        flags = Flags(unlocked_bits, locked_bits, expires_s)
        return cls(int(unlocked), int(locked), flags, transactions, int(received))

    def add(self, delta: Delta) -> None:
        self.unlocked += delta.unlocked
        self.locked += delta.locked
        self.received += delta.received
        self.transactions += delta.transactions

    def values(self) -> tuple[object, ...]:
        flags = self.flags or Flags()
        return (
            self.unlocked,
            self.locked,
            flags.unlocked,
            flags.locked,
            flags.expires_s,
            max(0, self.transactions),
            self.received,
        )


@dataclass(slots=True)
class AddressRow:
    address: str
    index: int | None = None
    wallet_id: str | None = None
    transactions: int = 0
    seqnum: int = 0
    account: int | None = None


def load_addresses(connection: Connection, addresses: Iterable[str]) -> dict[str, AddressRow]:
    return {row[0]: AddressRow(*row) for row in select_in(connection, ADDRESSES, addresses)}


def write_addresses(connection: Connection, state: BatchState, effects: Effects) -> dict[str, AddressRow]:
    """Counts the transactions of addresses and keeps their highest sequence numbers of contract calls.

    Returns the rows of all addresses that the batch concerns.
    """
    concerned = {pair[0] for pair in effects.balances} | effects.transactions.keys()
    # An address gets its row even where all that it did came and went within the batch.
    concerned.update(output.address for output in state.outputs.values() if output.stored is None)
    callers = {address for address, _seqnum in state.new_callers.values()}
    rows = load_addresses(connection, concerned | callers)
    changed: set[str] = set()
    for address in concerned | callers:
        if address not in rows:
            rows[address] = AddressRow(address)
            changed.add(address)
    for address, count in effects.transactions.items():
        if count:
            rows[address].transactions = max(0, rows[address].transactions + count)
            changed.add(address)
    for address, seqnum in state.new_callers.values():
        if seqnum > rows[address].seqnum:
            rows[address].seqnum = seqnum
            changed.add(address)
    upsert_rows(
        connection,
        tables.address,
        ("address", "transactions", "seqnum"),
        [(row.address, row.transactions, row.seqnum) for row in map(rows.__getitem__, sorted(changed))],
        ("transactions", "seqnum"),
    )
    return rows


def write_histories(connection: Connection, state: BatchState, effects: Effects) -> None:
    gone: list[tuple[str, str, str]] = []
    rows: list[tuple[object, ...]] = []
    for tx_id, after in effects.after.items():
        before = effects.before[tx_id]
        timestamp_s = state.transactions[tx_id].timestamp_s
        gone.extend((address, tx_id, token) for address, token in before.keys() - after.keys())
        rows.extend(
            (address, tx_id, token, balance, timestamp_s, False)
            for (address, token), balance in after.items()
            if before.get((address, token)) != balance
        )
    execute_many(connection, DELETE_HISTORY, gone)
    upsert_rows(
        connection, tables.address_tx_history, HISTORY_COLUMNS, rows, ("balance", "timestamp", "voided")
    )


def write_balances(connection: Connection, effects: Effects) -> None:
    """Writes balances. Call it after the outputs are written: authorities and timelocks are read from them."""
    pairs = sorted(
        pair for pair, delta in effects.balances.items() if delta != Delta() or pair in effects.flags
    )
    rows = {(row[0], row[1]): BalanceRow.load(row[2:]) for row in _stored_balances(connection, pairs)}
    flags = read_flags(connection, sorted(effects.flags))
    for pair in pairs:
        row = rows.setdefault(pair, BalanceRow())
        row.add(effects.balances[pair])
        if pair in effects.flags:
            row.flags = flags.get(pair)
    upsert_rows(
        connection,
        tables.address_balance,
        ("address", "token_id", *BALANCE_VALUES),
        [(*pair, *rows[pair].values()) for pair in pairs if rows[pair].transactions > 0],
        BALANCE_VALUES,
    )
    execute_many(connection, DELETE_BALANCE, [pair for pair in pairs if rows[pair].transactions <= 0])


def _stored_balances(connection: Connection, pairs: Iterable[Pair]) -> Iterator[Sequence[Any]]:
    """Reads a token that many addresses moved (mostly the native one) in one statement, and the others by pairs."""
    by_token: dict[str, list[str]] = {}
    for address, token in pairs:
        by_token.setdefault(token, []).append(address)
    rare: list[Pair] = []
    for token, addresses in by_token.items():
        if len(addresses) < MANY:
            rare.extend((address, token) for address in addresses)
        else:
            yield from select_in(connection, BALANCES_OF_TOKEN, addresses, token)
    yield from select_pairs(connection, BALANCES, rare)


def read_flags(connection: Connection, pairs: Iterable[Pair]) -> dict[Pair, Flags]:
    """Reads the authorities and the earliest timelock of the outputs that an address can still spend."""
    found: dict[Pair, Flags] = {}
    for address, token, locked, authorities, timelock_s in select_pairs(connection, FLAGGED, pairs):
        flags = found.setdefault((address, token), Flags())
        bits = authorities or 0
        flags.add(0 if locked else bits, bits if locked else 0, timelock_s if locked else None)
    return found
