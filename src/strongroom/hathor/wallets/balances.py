"""Reads the balances of a wallet by token, as of now.

The stored sums count an output as locked until the sync lifts its lock. From the moment a timelock ends until then, the
reader computes the difference from the outputs concerned. It writes nothing, so it never waits for the sync's lock.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, false, select, true

from strongroom.core.storage.database import Database
from strongroom.core.storage.statements import Statement, Values, arg, execute, unindexed
from strongroom.hathor import tables
from strongroom.hathor.protocol.transactions import HATHOR_TOKEN

NATIVE_TOKEN = ("Hathor", "HTR", 0)
MINT = 1
MELT = 2
_held, _token, _output, _address = (
    tables.wallet_balance.c,
    tables.token.c,
    tables.tx_output.c,
    tables.address.c,
)
_BALANCES = (
    select(
        _held.token_id,
        _token.name,
        _token.symbol,
        _token.version,
        _held.transactions,
        _held.unlocked_balance,
        _held.locked_balance,
        _held.unlocked_shielded_balance,
        _held.locked_shielded_balance,
        _held.unlocked_authorities,
        _held.locked_authorities,
        _held.timelock_expires,
    )
    .select_from(tables.wallet_balance.outerjoin(tables.token, _token.id == _held.token_id))
    .where(_held.wallet_id == arg("wallet_id"))
)
ALL = Statement(_BALANCES.order_by(_held.token_id), "wallet_id")
ONE = Statement(_BALANCES.where(_held.token_id == arg("token_id")), "wallet_id", "token_id")
LOCKED = Statement(
    select(_output.token_id, _output.value, _output.authorities, _output.timelock, _output.heightlock)
    .join(tables.address, unindexed(_address.address) == _output.address)  # as in `utxos`
    .where(
        _address.wallet_id == arg("wallet_id"),
        _output.locked == true(),
        _output.spent_by.is_(None),
        _output.voided == false(),
        _output.mode == 0,
    ),
    "wallet_id",
)
TOKEN = Statement(
    select(_token.name, _token.symbol, _token.version).where(_token.id == arg("token_id")), "token_id"
)


@dataclass(slots=True, kw_only=True)
class Balance:
    token_id: str
    name: str
    symbol: str
    version: int
    transactions: int = 0
    unlocked: int = 0
    locked: int = 0
    unlocked_shielded: int = 0
    locked_shielded: int = 0
    unlocked_authorities: int = 0
    locked_authorities: int = 0
    lock_expires_s: int | None = None


async def read_balances(
    database: Database, wallet_id: str, token_id: str | None, now_s: int
) -> list[Balance]:
    """Reads balances in the order of token ids; with `token_id`, of that token alone.

    A token that the wallet never had gives a balance of zero; one that nobody knows gives none.
    """
    rows = await database.query(*_question(wallet_id, token_id))
    balances = _balances(rows)
    if any(balance.lock_expires_s is not None and balance.lock_expires_s < now_s for balance in balances):
        return await database.read(lambda connection: balances_within(connection, wallet_id, token_id, now_s))
    return balances if rows or token_id is None else await _nothing_of(database, token_id)


def _question(wallet_id: str, token_id: str | None) -> tuple[Any, ...]:
    if token_id is None:
        return ALL, wallet_id
    return ONE, wallet_id, token_id


def _balances(rows: Iterable[Values]) -> list[Balance]:
    return [_load(row) for row in rows if row[1] is not None or row[0] == HATHOR_TOKEN]


def balances_within(
    connection: Connection, wallet_id: str, token_id: str | None, now_s: int
) -> list[Balance]:
    """As `read_balances`, inside a unit of work; a token that the wallet never had gives no balance."""
    balances = _balances(execute(connection, *_question(wallet_id, token_id)))
    _unlock(connection, wallet_id, balances, now_s)
    return balances


def _unlock(connection: Connection, wallet_id: str, balances: list[Balance], now_s: int) -> None:
    """Moves what is locked no longer from the locked sums to the others, as the sync will."""
    held: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for token_id, value, authorities, timelock_s, heightlock in execute(connection, LOCKED, wallet_id):
        held[token_id].append((int(value), authorities, timelock_s, heightlock))
    for balance in balances:
        # Authorities and the next expiry are no sums: they are found anew from what is still locked.
        balance.locked_authorities, balance.lock_expires_s = 0, None
        for value, authorities, timelock_s, heightlock in held[balance.token_id]:
            if timelock_s is not None and timelock_s < now_s and heightlock is None:
                if authorities:
                    balance.unlocked_authorities |= authorities
                else:
                    balance.unlocked, balance.locked = balance.unlocked + value, balance.locked - value
                continue
            balance.locked_authorities |= authorities
            if timelock_s is not None and timelock_s >= now_s:
                balance.lock_expires_s = min(timelock_s, balance.lock_expires_s or timelock_s)


async def _nothing_of(database: Database, token_id: str) -> list[Balance]:
    if token_id == HATHOR_TOKEN:
        name, symbol, version = NATIVE_TOKEN
        return [Balance(token_id=token_id, name=name, symbol=symbol, version=version)]
    return [
        Balance(token_id=token_id, name=name, symbol=symbol, version=version)
        for name, symbol, version in await database.query(TOKEN, token_id)
    ]


def _load(row: tuple[Any, ...]) -> Balance:
    name, symbol, version = NATIVE_TOKEN if row[0] == HATHOR_TOKEN else row[1:4]
    return Balance(
        token_id=row[0],
        name=name,
        symbol=symbol,
        version=version,
        transactions=row[4],
        unlocked=int(row[5]),
        locked=int(row[6]),
        unlocked_shielded=int(row[7]),
        locked_shielded=int(row[8]),
        unlocked_authorities=row[9],
        locked_authorities=row[10],
        lock_expires_s=row[11],
    )
