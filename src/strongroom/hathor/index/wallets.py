"""Writes the rows of wallets: the sums over the addresses that they claimed.

One invariant holds after every commit, also for a wallet that is still loading: the rows of a wallet are the sums over
the rows of its addresses. Two operations keep it: `write_wallets` adds the effects of a batch, `adopt` adds all that an
address did before it was claimed. So loading, and the extension of the gap, need no pause of the sync, and an address
that was paid before any wallet knew it brings its history along.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, false, or_, select

from strongroom.core.errors import Conflict
from strongroom.core.storage.statements import (
    Statement,
    arg,
    delete_by_key,
    execute,
    execute_many,
    listed,
    select_in,
    upsert_rows,
)
from strongroom.hathor import tables
from strongroom.hathor.index.addresses import (
    BALANCE_VALUES,
    AddressRow,
    BalanceRow,
    Flags,
    select_balances,
)
from strongroom.hathor.index.batch_state import BatchState
from strongroom.hathor.index.effects import Delta, Effects, Entries, Pair

ACCOUNT = 0
HISTORY_PAGE = 20_000
"""Rows of histories in memory at a time."""
HISTORY_COLUMNS = ("wallet_id", "token_id", "tx_id", "balance", "timestamp", "voided")
_address, _balance, _held = tables.address.c, tables.address_balance.c, tables.wallet_balance.c
_moved, _entry = tables.address_tx_history.c, tables.wallet_tx_history.c
WALLET_BALANCES = Statement(select_balances(tables.wallet_balance).where(listed(_held.wallet_id)))
ADDRESS_BALANCES = Statement(select_balances(tables.address_balance).where(listed(_balance.address)))
OWNED_FLAGS = Statement(
    select(_balance.unlocked_authorities, _balance.locked_authorities, _balance.timelock_expires)
    .join(tables.address, _address.address == _balance.address)
    .where(
        _address.wallet_id == arg("wallet_id"),
        _balance.token_id == arg("token_id"),
        or_(
            _balance.unlocked_authorities > 0,
            _balance.locked_authorities > 0,
            _balance.timelock_expires.is_not(None),
        ),
    ),
    "wallet_id",
    "token_id",
)
OWNERS = Statement(
    select(_address.address, _address.wallet_id, _address.transactions).where(listed(_address.address))
)
COUNTS = Statement(select(_address.address, _address.transactions).where(listed(_address.address)))
_MOVEMENTS = select(_moved.tx_id, _moved.token_id, _moved.balance, _moved.timestamp).where(
    _moved.voided == false()
)
MOVEMENTS = Statement(_MOVEMENTS.where(listed(_moved.address)))
MOVEMENTS_AFTER = Statement(
    _MOVEMENTS.where(_moved.address == arg("address"), _moved.tx_id > arg("last"))
    .order_by(_moved.tx_id, _moved.token_id)
    .limit(HISTORY_PAGE),
    "address",
    "last",
)
MOVEMENTS_IN = Statement(
    _MOVEMENTS.where(_moved.address == arg("address"), _moved.tx_id == arg("tx_id")), "address", "tx_id"
)
ENTRIES = Statement(
    select(_entry.token_id, _entry.tx_id, _entry.balance).where(
        listed(_entry.tx_id), _entry.wallet_id == arg("wallet_id")
    ),
    "wallet_id",
)
DELETE_ENTRY = delete_by_key(tables.wallet_tx_history)
DELETE_BALANCE = delete_by_key(tables.wallet_balance)


def write_wallets(
    connection: Connection, state: BatchState, effects: Effects, addresses: Mapping[str, AddressRow]
) -> dict[str, set[str]]:
    """Adds the effects of a batch to wallets; returns the transactions that concern each one.

    Call it after the addresses' balances are written: authorities and timelocks are read from them.
    """
    owners = {row.address: row.wallet_id for row in addresses.values() if row.wallet_id is not None}
    if not owners:
        return {}
    touched: dict[str, set[str]] = defaultdict(set)
    deltas: dict[Pair, Delta] = defaultdict(Delta)
    for (address, token), delta in effects.balances.items():
        if (owner := owners.get(address)) is not None:
            # Without the count: a transaction of two addresses of a wallet is one transaction of the wallet.
            moved = Delta(delta.unlocked, delta.locked, delta.received)
            deltas[owner, token].add(moved)
    rows: list[tuple[Any, ...]] = []
    gone: list[tuple[str, str, str]] = []
    for tx_id in effects.after:
        before, after = _owned(effects.before[tx_id], owners), _owned(effects.after[tx_id], owners)
        for pair in before.keys() | after.keys():
            touched[pair[0]].add(tx_id)
            deltas[pair].transactions += (pair in after) - (pair in before)
        timestamp_s = state.transactions[tx_id].timestamp_s
        gone.extend((*pair, tx_id) for pair in before.keys() - after.keys())
        rows.extend((*pair, tx_id, value, timestamp_s, False) for pair, value in after.items())
    execute_many(connection, DELETE_ENTRY, gone)
    upsert_rows(connection, tables.wallet_tx_history, HISTORY_COLUMNS, rows, ("balance", "timestamp"))
    flagged = {(owners[address], token) for address, token in effects.flags if address in owners}
    _write_balances(connection, deltas, {pair: _read_flags(connection, pair) for pair in flagged})
    return touched


def adopt(connection: Connection, wallet_id: str, indexes: Mapping[str, int]) -> None:
    """Claims addresses (by their index in the wallet) and adds to the wallet's rows what they did before.

    Raises:
        Conflict: another wallet has claimed one of them (the same keys under another extended public key).
    """
    known = {row[0]: row[1:] for row in select_in(connection, OWNERS, indexes)}
    if any(row[0] not in {None, wallet_id} for row in known.values()):
        raise Conflict("Another wallet has these addresses already")
    free = [address for address in indexes if address not in known or known[address][0] is None]
    upsert_rows(
        connection,
        tables.address,
        ("address", "index", "wallet_id", "transactions", "bip32_account"),
        [(address, indexes[address], wallet_id, 0, ACCOUNT) for address in free],
        ("index", "wallet_id", "bip32_account"),
    )
    # Only addresses that the chain knows bring anything along; most of a gap is new.
    used = [address for address in free if address in known and known[address][1] > 0]
    deltas: dict[Pair, Delta] = defaultdict(Delta)
    flags: dict[Pair, Flags] = {}
    for page in _history_pages(connection, used):
        for token, count in _add_history(connection, wallet_id, page).items():
            deltas[wallet_id, token].transactions += count
    for _address, token, *values in select_in(connection, ADDRESS_BALANCES, used):
        row = BalanceRow.load(values)
        deltas[wallet_id, token].add(Delta(row.unlocked, row.locked, row.received))
        if row.flags is not None:
            merged = flags.setdefault((wallet_id, token), Flags())
            merged.add(row.flags.unlocked, row.flags.locked, row.flags.expires_s)
    _write_balances(connection, deltas, flags, merge=True)


def _owned(entries: Entries, owners: Mapping[str, str]) -> Entries:
    found: Entries = {}
    for (address, token), value in entries.items():
        if (owner := owners.get(address)) is not None:
            found[owner, token] = found.get((owner, token), 0) + value
    return found


def _write_balances(
    connection: Connection, deltas: Mapping[Pair, Delta], flags: Mapping[Pair, Flags], *, merge: bool = False
) -> None:
    """Adds `deltas`; `flags` replace those stored, or are merged into them."""
    pairs = sorted(deltas.keys() | flags.keys())
    stored = select_in(connection, WALLET_BALANCES, {pair[0] for pair in pairs})
    rows = {(row[0], row[1]): BalanceRow.load(row[2:]) for row in stored}
    for pair in pairs:
        row = rows.setdefault(pair, BalanceRow(flags=Flags()))
        row.add(deltas[pair] if pair in deltas else Delta())
        if (new := flags.get(pair)) is not None:
            if merge and row.flags is not None:
                new.add(row.flags.unlocked, row.flags.locked, row.flags.expires_s)
            row.flags = new
    upsert_rows(
        connection,
        tables.wallet_balance,
        ("wallet_id", "token_id", *BALANCE_VALUES),
        [(*pair, *rows[pair].values()) for pair in pairs if rows[pair].transactions > 0],
        BALANCE_VALUES,
    )
    gone = [pair for pair in pairs if rows[pair].transactions <= 0]
    execute_many(connection, DELETE_BALANCE, gone)


def _read_flags(connection: Connection, pair: Pair) -> Flags:
    flags = Flags()
    for unlocked, locked, expires_s in execute(connection, OWNED_FLAGS, *pair):
        flags.add(unlocked, locked, expires_s)
    return flags


def _history_pages(connection: Connection, addresses: Sequence[str]) -> Iterator[list[tuple[Any, ...]]]:
    """Reads the histories of `addresses`: (tx_id, token_id, balance, timestamp), in pages of bounded size."""
    small = {
        address: number
        for address, number in select_in(connection, COUNTS, addresses)
        if number <= HISTORY_PAGE // 100
    }
    for group in _groups(small):
        yield list(select_in(connection, MOVEMENTS, group))
    for address in set(addresses).difference(small):
        last = ""
        while True:
            page = list(execute(connection, MOVEMENTS_AFTER, address, last))
            if len(page) < HISTORY_PAGE:
                yield page
                break
            # The page may end within a transaction; the whole of that one goes with this page.
            last = page[-1][0]
            whole = [row for row in page if row[0] != last]
            yield whole + list(execute(connection, MOVEMENTS_IN, address, last))


def _groups(transactions: Mapping[str, int]) -> Iterator[list[str]]:
    """Groups addresses whose histories together fit on a page."""
    group: list[str] = []
    rows = 0
    for address, number in transactions.items():
        if rows + number > HISTORY_PAGE:
            yield group
            group, rows = [], 0
        group.append(address)
        rows += number
    if group:
        yield group


def _add_history(connection: Connection, wallet_id: str, page: Iterable[tuple[Any, ...]]) -> dict[str, int]:
    """Adds entries to the wallet's history; returns for each token how many transactions are new to it."""
    entries: dict[Pair, tuple[int, int]] = {}
    for tx_id, token, balance, timestamp_s in page:
        before = entries.get((token, tx_id), (0, 0))[0]
        entries[token, tx_id] = (before + int(balance), timestamp_s)
    new: dict[str, int] = defaultdict(int)
    known: dict[Pair, int] = {}
    for token, tx_id, balance in select_in(
        connection, ENTRIES, {tx_id for _token, tx_id in entries}, wallet_id
    ):
        known[token, tx_id] = int(balance)
    for token, _tx_id in entries.keys() - known.keys():
        new[token] += 1
    rows = [
        (wallet_id, token, tx_id, value + known.get((token, tx_id), 0), timestamp_s, False)
        for (token, tx_id), (value, timestamp_s) in entries.items()
    ]
    upsert_rows(connection, tables.wallet_tx_history, HISTORY_COLUMNS, rows, ("balance", "timestamp"))
    return new
