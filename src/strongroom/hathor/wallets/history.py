"""A wallet's tokens, transactions and addresses, as the tables have them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from strongroom.core.storage.database import Database, ascii_key
from strongroom.core.storage.statements import MAX_IN, chunks
from strongroom.hathor.wallets.balances import NATIVE, NATIVE_TOKEN

SHIELDED_ACCOUNT = 2
OF_WALLET = "SELECT address, `index`, transactions, seqnum FROM address WHERE wallet_id = {}"
ADDRESSES = OF_WALLET + " AND bip32_account = 0"
SHIELDED = (
    "SELECT address, `index`, transactions, seqnum, ct_address FROM address"
    " WHERE wallet_id = {} AND bip32_account = 2"
)
ENTRIES = (
    "SELECT h.tx_id, h.timestamp, h.voided, h.balance, h.shielded_balance_delta, t.version"
    " FROM wallet_tx_history h LEFT JOIN `transaction` t ON t.tx_id = h.tx_id"
    " WHERE h.wallet_id = {} AND h.token_id = {}"
)
HISTORY = ENTRIES + " ORDER BY h.timestamp DESC, h.tx_id DESC LIMIT {} OFFSET {}"
OLDER = (
    ENTRIES + " AND h.timestamp <= {} AND (h.timestamp < {} OR h.tx_id < {})"
    " ORDER BY h.timestamp DESC, h.tx_id DESC LIMIT {}"
)
NEWER = (
    ENTRIES + " AND h.timestamp >= {} AND (h.timestamp > {} OR h.tx_id > {})"
    " ORDER BY h.timestamp, h.tx_id LIMIT {}"
)
TRANSACTION = (
    "SELECT h.tx_id, t.timestamp, t.version, t.voided, t.weight, h.balance, h.shielded_balance_delta,"
    " h.token_id, k.name, k.symbol FROM wallet_tx_history h JOIN `transaction` t ON t.tx_id = h.tx_id"
    " JOIN token k ON k.id = h.token_id"
    " WHERE h.wallet_id = {} AND h.tx_id = {} AND t.voided = 0 ORDER BY h.token_id"
)
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryCursor:
    """Where one stands in a history: just behind this entry, in the order of reading."""

    timestamp_s: int
    tx_id: str

    @classmethod
    def behind(cls, entry: Row) -> "HistoryCursor":
        return cls(timestamp_s=entry["timestamp"], tx_id=entry["txId"])


OLDEST = HistoryCursor(timestamp_s=-1, tx_id="")
NEWEST = HistoryCursor(timestamp_s=2**32, tx_id="")


async def all_addresses(database: Database, wallet_id: str) -> list[Row]:
    return [_address(row) for row in await database.query(ADDRESSES + " ORDER BY `index`", wallet_id)]


async def address_at(database: Database, wallet_id: str, index: float) -> list[Row]:
    """One address, or none."""
    return [_address(row) for row in await database.query(ADDRESSES + " AND `index` = {}", wallet_id, index)]


async def address_named(database: Database, wallet_id: str, address: str) -> list[Row]:
    """One address, or none when it is not the wallet's."""
    return [
        _address(row) for row in await database.query(OF_WALLET + " AND address = {}", wallet_id, address)
    ]


async def new_addresses(database: Database, wallet_id: str, last_used: int, most: int) -> list[Row]:
    """Unused addresses after the last used one."""
    sql = ADDRESSES + " AND transactions = 0 AND `index` > {} ORDER BY `index` LIMIT {}"
    rows = await database.query(sql, wallet_id, last_used, most)
    return [{"address": row[0], "index": row[1], "addressPath": address_path(row[1])} for row in rows]


async def shielded_addresses(database: Database, wallet_id: str, index: float | None) -> list[Row]:
    """Those of its shielded account, or the one at an index; only wallets that the original made have any."""
    bound, bounds = (" AND `index` = {}", (index,)) if index is not None else ("", ())
    rows = await database.query(SHIELDED + bound + " ORDER BY `index`", wallet_id, *bounds)
    return [{**_address(row), "address": row[4], "spendAddress": row[0]} for row in rows]


async def new_shielded_addresses(
    database: Database, wallet_id: str, last_used: int, most: int
) -> tuple[list[Row], list[Row]]:
    """Unused ones after the last used one: what payers are told, and what stands on the chain."""
    sql = SHIELDED + " AND transactions = 0 AND `index` > {} ORDER BY `index` LIMIT {}"
    told: list[Row] = []
    on_chain: list[Row] = []
    for row in await database.query(sql, wallet_id, last_used, most):
        cursor = {"index": row[1], "addressPath": address_path(row[1], SHIELDED_ACCOUNT)}
        told.append({"address": row[4], **cursor})
        on_chain.append({"address": row[0], **cursor})
    return told, on_chain


async def used_beyond_first(database: Database, wallet_id: str) -> bool:
    sql = OF_WALLET + " AND `index` > 0 AND transactions > 0 LIMIT 1"
    return bool(await database.query(sql, wallet_id))


async def owned(database: Database, wallet_id: str, addresses: Sequence[str]) -> set[str]:
    """Those of `addresses` that are the wallet's."""
    found: set[str] = set()
    for chunk in chunks(addresses, MAX_IN):
        sql = f"SELECT address FROM address WHERE wallet_id = {{}} AND address IN ({','.join(['{}'] * len(chunk))})"  # noqa: S608 - marks
        found.update(row[0] for row in await database.query(sql, wallet_id, *chunk))
    return found


async def tokens(database: Database, wallet_id: str) -> list[str]:
    """Ids of every token that the wallet ever had to do with."""
    sql = "SELECT DISTINCT token_id FROM wallet_tx_history WHERE wallet_id = {} ORDER BY token_id"
    return [row[0] for row in await database.query(sql, wallet_id)]


async def history(database: Database, wallet_id: str, token_id: str, skip: int, count: int) -> list[Row]:
    """The latest transactions first; `balance` is what each changed."""
    return [_entry(row) for row in await database.query(HISTORY, wallet_id, token_id, count, skip)]


async def history_before(
    database: Database, wallet_id: str, token_id: str, cursor: HistoryCursor, count: int
) -> list[Row]:
    """The next older entries. Whatever comes meanwhile moves none of them."""
    bounds = (cursor.timestamp_s, cursor.timestamp_s, cursor.tx_id)
    return [_entry(row) for row in await database.query(OLDER, wallet_id, token_id, *bounds, count)]


async def history_after(
    database: Database, wallet_id: str, token_id: str, cursor: HistoryCursor, count: int
) -> list[Row]:
    """The next newer entries, the oldest first."""
    bounds = (cursor.timestamp_s, cursor.timestamp_s, cursor.tx_id)
    return [_entry(row) for row in await database.query(NEWER, wallet_id, token_id, *bounds, count)]


async def transaction_tokens(database: Database, wallet_id: str, tx_id: str) -> list[Row]:
    """What a transaction that is not voided changed, by token."""
    found = []
    for row in await database.query(TRANSACTION, wallet_id, ascii_key(tx_id)):
        name, symbol = NATIVE_TOKEN[:2] if row[7] == NATIVE else row[8:10]
        found.append(
            {
                "txId": row[0],
                "timestamp": row[1],
                "version": row[2],
                "voided": bool(row[3]),
                "weight": row[4],
                "balance": int(row[5]) + int(row[6]),
                "tokenId": row[7],
                "tokenName": name,
                "tokenSymbol": symbol,
            }
        )
    return found


def address_path(index: int, account: int = 0) -> str:
    return f"m/44'/280'/{account}'/0/{index}"


def _address(row: tuple[Any, ...]) -> Row:
    return {"address": row[0], "index": row[1], "transactions": row[2], "seqnum": row[3]}


def _entry(row: tuple[Any, ...]) -> Row:
    transparent, shielded = int(row[3]), int(row[4])
    kind = "transparent" if not shielded else "mixed" if transparent else "shielded"
    return {
        "txId": row[0],
        "timestamp": row[1],
        "voided": int(row[2]),
        "balance": transparent + shielded,
        "version": row[5],
        "tx_kind": kind,
        "balanceBreakdown": {"transparent": transparent, "shielded": shielded},
    }
