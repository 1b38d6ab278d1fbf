"""Reads a wallet's tokens, transactions and addresses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Select, false, or_, select

from strongroom.core.chunks import chunks
from strongroom.core.storage.database import Database
from strongroom.core.storage.statements import MAX_IN, Statement, arg, listed
from strongroom.hathor import tables
from strongroom.hathor.protocol.transactions import HATHOR_TOKEN
from strongroom.hathor.wallets.balances import NATIVE_TOKEN

SHIELDED_ACCOUNT = 2
_address, _entry, _transaction, _token = (
    tables.address.c,
    tables.wallet_tx_history.c,
    tables.transaction.c,
    tables.token.c,
)
_OF_WALLET = select(_address.address, _address.index, _address.transactions, _address.seqnum).where(
    _address.wallet_id == arg("wallet_id")
)
_TRANSPARENT = _OF_WALLET.where(_address.bip32_account == 0)
_SHIELDED = _OF_WALLET.add_columns(_address.ct_address).where(_address.bip32_account == SHIELDED_ACCOUNT)


def _unused(addresses: Select[Any]) -> Statement:
    """Selects those of `addresses` after an index that no transaction has used."""
    wanted = addresses.where(_address.transactions == 0, _address.index > arg("last_used"))
    return Statement(wanted.order_by(_address.index).limit(arg("most")), "wallet_id", "last_used", "most")


ADDRESSES = Statement(_TRANSPARENT.order_by(_address.index), "wallet_id")
ADDRESS_AT = Statement(_TRANSPARENT.where(_address.index == arg("index")), "wallet_id", "index")
ADDRESS_NAMED = Statement(_OF_WALLET.where(_address.address == arg("address")), "wallet_id", "address")
UNUSED = _unused(_TRANSPARENT)
LAST = Statement(_TRANSPARENT.order_by(_address.index.desc()).limit(1), "wallet_id")
SHIELDED = Statement(_SHIELDED.order_by(_address.index), "wallet_id")
SHIELDED_AT = Statement(_SHIELDED.where(_address.index == arg("index")), "wallet_id", "index")
UNUSED_SHIELDED = _unused(_SHIELDED)
USED_BEYOND_FIRST = Statement(
    _OF_WALLET.where(_address.index > 0, _address.transactions > 0).limit(1), "wallet_id"
)
OWNED = Statement(
    select(_address.address).where(listed(_address.address), _address.wallet_id == arg("wallet_id")),
    "wallet_id",
)
TOKENS = Statement(
    select(_entry.token_id).distinct().where(_entry.wallet_id == arg("wallet_id")).order_by(_entry.token_id),
    "wallet_id",
)
_ENTRIES = (
    select(
        _entry.tx_id,
        _entry.timestamp,
        _entry.voided,
        _entry.balance,
        _entry.shielded_balance_delta,
        _transaction.version,
    )
    .select_from(tables.wallet_tx_history.outerjoin(tables.transaction, _transaction.tx_id == _entry.tx_id))
    .where(_entry.wallet_id == arg("wallet_id"), _entry.token_id == arg("token_id"))
)
_NEWEST_FIRST = _ENTRIES.order_by(_entry.timestamp.desc(), _entry.tx_id.desc())
HISTORY = Statement(
    _NEWEST_FIRST.limit(arg("count")).offset(arg("skip")), "wallet_id", "token_id", "count", "skip"
)
# The bound on the time alone lets the database begin in the index where the cursor stands.
OLDER = Statement(
    _NEWEST_FIRST.where(
        _entry.timestamp <= arg("timestamp"),
        or_(_entry.timestamp < arg("timestamp"), _entry.tx_id < arg("tx_id")),
    ).limit(arg("count")),
    "wallet_id",
    "token_id",
    "timestamp",
    "tx_id",
    "count",
)
NEWER = Statement(
    _ENTRIES.where(
        _entry.timestamp >= arg("timestamp"),
        or_(_entry.timestamp > arg("timestamp"), _entry.tx_id > arg("tx_id")),
    )
    .order_by(_entry.timestamp, _entry.tx_id)
    .limit(arg("count")),
    "wallet_id",
    "token_id",
    "timestamp",
    "tx_id",
    "count",
)
TRANSACTION = Statement(
    select(
        _entry.tx_id,
        _transaction.timestamp,
        _transaction.version,
        _transaction.voided,
        _transaction.weight,
        _entry.balance,
        _entry.shielded_balance_delta,
        _entry.token_id,
        _token.name,
        _token.symbol,
    )
    .select_from(tables.wallet_tx_history)
    .join(tables.transaction, _transaction.tx_id == _entry.tx_id)
    .join(tables.token, _token.id == _entry.token_id)
    .where(
        _entry.wallet_id == arg("wallet_id"),
        _entry.tx_id == arg("tx_id"),
        _transaction.voided == false(),
    )
    .order_by(_entry.token_id),
    "wallet_id",
    "tx_id",
)


# Structs, for a wallet has thousands of addresses and a page has fifty entries: to make one costs a quarter of a dataclass.
class Address(msgspec.Struct, frozen=True):
    """A row of `address`."""

    address: str
    index: int
    transactions: int
    seqnum: int
    shielded: str | None = None
    """The form that payers of a shielded address get; `address` is its form on the chain."""


class Entry(msgspec.Struct, frozen=True):
    """What a transaction changed of one token, and whether it is voided."""

    tx_id: str
    timestamp_s: int
    voided: bool
    transparent: int
    shielded: int
    version: int | None


class TransactionPart(msgspec.Struct, frozen=True, kw_only=True):
    """What a transaction changed of one token, and the token."""

    tx_id: str
    timestamp_s: int
    version: int
    voided: bool
    weight: float | None
    balance: int
    token_id: str
    token_name: str | None
    token_symbol: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryCursor:
    """A place in a history: just behind this entry, in the order of reading."""

    timestamp_s: int
    tx_id: str

    @classmethod
    def behind(cls, entry: Entry) -> "HistoryCursor":
        return cls(timestamp_s=entry.timestamp_s, tx_id=entry.tx_id)


OLDEST = HistoryCursor(timestamp_s=-1, tx_id="")
NEWEST = HistoryCursor(timestamp_s=2**32, tx_id="")


async def all_addresses(database: Database, wallet_id: str) -> list[Address]:
    return [Address(*row) for row in await database.query(ADDRESSES, wallet_id)]


async def address_at(database: Database, wallet_id: str, index: float) -> list[Address]:
    """Returns one address, or none."""
    return [Address(*row) for row in await database.query(ADDRESS_AT, wallet_id, index)]


async def address_named(database: Database, wallet_id: str, address: str) -> list[Address]:
    """Returns one address, or none where it is not the wallet's."""
    return [Address(*row) for row in await database.query(ADDRESS_NAMED, wallet_id, address)]


async def new_addresses(database: Database, wallet_id: str, last_used: int, most: int) -> list[Address]:
    """Returns unused addresses after the last used one."""
    rows = await database.query(UNUSED, wallet_id, last_used, most)
    return [Address(*row) for row in rows]


async def shielded_addresses(database: Database, wallet_id: str, index: float | None) -> list[Address]:
    """Returns the addresses of the shielded account, or the one at an index. Only wallets that the original made have any."""
    question = (SHIELDED, wallet_id) if index is None else (SHIELDED_AT, wallet_id, index)
    rows = await database.query(*question)
    return [Address(*row) for row in rows]


async def new_shielded_addresses(
    database: Database, wallet_id: str, last_used: int, most: int
) -> list[Address]:
    """Returns unused shielded addresses after the last used one."""
    rows = await database.query(UNUSED_SHIELDED, wallet_id, last_used, most)
    return [Address(*row) for row in rows]


async def used_beyond_first(database: Database, wallet_id: str) -> bool:
    return bool(await database.query(USED_BEYOND_FIRST, wallet_id))


async def owned(database: Database, wallet_id: str, addresses: Sequence[str]) -> set[str]:
    """Returns those of `addresses` that are the wallet's."""
    found: set[str] = set()
    for chunk in chunks(addresses, MAX_IN):
        found.update(row[0] for row in await database.query(OWNED, chunk, wallet_id))
    return found


async def tokens(database: Database, wallet_id: str) -> list[str]:
    """Returns the ids of all tokens in the wallet's history."""
    return [row[0] for row in await database.query(TOKENS, wallet_id)]


async def history(database: Database, wallet_id: str, token_id: str, skip: int, count: int) -> list[Entry]:
    """Returns what each transaction changed of a token, the latest transactions first."""
    return [_load_entry(row) for row in await database.query(HISTORY, wallet_id, token_id, count, skip)]


async def history_before(
    database: Database, wallet_id: str, token_id: str, cursor: HistoryCursor, count: int
) -> list[Entry]:
    """Returns the next older entries. Transactions that come meanwhile move none of them, as they would with an offset."""
    rows = await database.query(OLDER, wallet_id, token_id, cursor.timestamp_s, cursor.tx_id, count)
    return [_load_entry(row) for row in rows]


async def history_after(
    database: Database, wallet_id: str, token_id: str, cursor: HistoryCursor, count: int
) -> list[Entry]:
    """Returns the next newer entries, the oldest first."""
    rows = await database.query(NEWER, wallet_id, token_id, cursor.timestamp_s, cursor.tx_id, count)
    return [_load_entry(row) for row in rows]


async def transaction_tokens(database: Database, wallet_id: str, tx_id: str) -> list[TransactionPart]:
    """Returns what a transaction that is not voided changed, by token."""
    found = []
    for row in await database.query(TRANSACTION, wallet_id, tx_id):
        name, symbol = NATIVE_TOKEN[:2] if row[7] == HATHOR_TOKEN else row[8:10]
        found.append(
            TransactionPart(
                tx_id=row[0],
                timestamp_s=row[1],
                version=row[2],
                voided=bool(row[3]),
                weight=row[4],
                balance=int(row[5]) + int(row[6]),
                token_id=row[7],
                token_name=name,
                token_symbol=symbol,
            )
        )
    return found


def address_path(index: int, account: int = 0) -> str:
    return f"m/44'/280'/{account}'/0/{index}"


def _load_entry(row: tuple[Any, ...]) -> Entry:
    tx_id, timestamp_s, voided, transparent, shielded, version = row
    return Entry(tx_id, timestamp_s, bool(voided), int(transparent), int(shielded), version)
