"""The balances of a wallet by token, as of now.

The stored sums hold a lock until the sync lifts it. Between the moment a timelock ends and that, the difference is
worked out here from the outputs concerned, and nothing is written: a reader never waits for the sync's lock.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from strongroom.core.storage.database import Database
from strongroom.core.storage.statements import Values, execute

NATIVE = "00"
NATIVE_TOKEN = ("Hathor", "HTR", 0)
MINT = 1
MELT = 2
SELECT = (
    "SELECT b.token_id, t.name, t.symbol, t.version, b.transactions, b.unlocked_balance, b.locked_balance,"
    " b.unlocked_shielded_balance, b.locked_shielded_balance, b.unlocked_authorities, b.locked_authorities,"
    " b.timelock_expires FROM wallet_balance b LEFT JOIN token t ON t.id = b.token_id WHERE b.wallet_id = {}"
)
ALL = SELECT + " ORDER BY b.token_id"
ONE = SELECT + " AND b.token_id = {}"
LOCKED = (
    "SELECT o.token_id, o.value, o.authorities, o.timelock, o.heightlock FROM address a"
    " JOIN tx_output o ON o.address = a.address WHERE a.wallet_id = {} AND o.locked = 1 AND o.spent_by IS NULL"
    " AND o.voided = 0 AND o.mode = 0"
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
    """By token id; of one token if it is given, a zero if the wallet never had it and none if nobody knows it."""
    rows = await database.query(*_question(wallet_id, token_id))
    balances = _balances(rows)
    if any(balance.lock_expires_s is not None and balance.lock_expires_s < now_s for balance in balances):
        return await database.read(lambda connection: balances_within(connection, wallet_id, token_id, now_s))
    return balances if rows or token_id is None else await _nothing_of(database, token_id)


def _question(wallet_id: str, token_id: str | None) -> tuple[str, ...]:
    if token_id is None:
        return ALL, wallet_id
    return ONE, wallet_id, token_id


def _balances(rows: Iterable[Values]) -> list[Balance]:
    return [_load(row) for row in rows if row[1] is not None or row[0] == NATIVE]


def balances_within(
    connection: Connection, wallet_id: str, token_id: str | None, now_s: int
) -> list[Balance]:
    """As `read_balances`, inside a unit of work; none for a token that the wallet never had."""
    balances = _balances(execute(connection, *_question(wallet_id, token_id)))
    _unlock(connection, wallet_id, balances, now_s)
    return balances


def _unlock(connection: Connection, wallet_id: str, balances: list[Balance], now_s: int) -> None:
    held: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for token_id, value, authorities, timelock_s, heightlock in execute(connection, LOCKED, wallet_id):
        held[token_id].append((int(value), authorities, timelock_s, heightlock))
    for balance in balances:
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
    if token_id == NATIVE:
        name, symbol, version = NATIVE_TOKEN
        return [Balance(token_id=token_id, name=name, symbol=symbol, version=version)]
    sql = "SELECT name, symbol, version FROM token WHERE id = {}"
    return [
        Balance(token_id=token_id, name=name, symbol=symbol, version=version)
        for name, symbol, version in await database.query(sql, token_id)
    ]


def _load(row: tuple[Any, ...]) -> Balance:
    name, symbol, version = NATIVE_TOKEN if row[0] == NATIVE else row[1:4]
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
