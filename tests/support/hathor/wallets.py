"""A wallet for tests: the one of the vectors."""

import json
from functools import cache
from pathlib import Path

from sqlalchemy import Connection

from strongroom.hathor import tables
from strongroom.hathor.protocol.addresses import MAINNET, Address, parse_address
from strongroom.hathor.protocol.keys import address_chain, wallet_id
from support.sql import execute

VECTORS = Path(__file__).parents[2] / "vectors" / "hathor"
XPUB: str = json.loads((VECTORS / "vectors.json").read_text())["wallet"]["acct_xpub"]
WALLET = wallet_id(XPUB)


@cache
def wallet_addresses(count: int, xpub: str = XPUB) -> list[str]:
    chain = address_chain(xpub)
    return [chain.child_address(index).encode(MAINNET) for index in range(count)]


def favourites(indexes: range) -> list[Address]:
    """The wallet's addresses with these indexes, as payees of a generated chain."""
    return [
        parse_address(text, MAINNET) for text in wallet_addresses(indexes.stop)[indexes.start :: indexes.step]
    ]


def insert_wallet(connection: Connection, xpub: str = XPUB, max_gap: int = 20) -> None:
    row = {
        "id": wallet_id(xpub),
        "xpubkey": xpub,
        "auth_xpubkey": xpub,
        "status": "creating",
        "max_gap": max_gap,
        "created_at": 1_700_000_000,
    }
    connection.execute(tables.wallet.insert(), row)


def check_wallet(connection: Connection, wallet: str = WALLET, max_gap: int = 20) -> int:
    """Asserts that the wallet's rows are the sums over its addresses; returns how many addresses it has."""
    claimed = execute(
        connection,
        "SELECT address, `index`, transactions FROM address WHERE wallet_id = {} ORDER BY `index`",
        wallet,
    )
    assert [row[1] for row in claimed] == list(range(len(claimed)))
    assert [row[0] for row in claimed] == wallet_addresses(len(claimed))
    last_used = max((row[1] for row in claimed if row[2] > 0), default=-1)
    stored = execute(connection, "SELECT last_used_address_index FROM wallet WHERE id = {}", wallet)[0][0]
    assert stored >= last_used  # it stays where it was when a transaction is voided
    assert len(claimed) == stored + max_gap + 1
    owned = {row[0] for row in claimed}
    history: dict[tuple[str, str], list[int]] = {}
    for address, tx_id, token, balance, timestamp_s in execute(
        connection, "SELECT address, tx_id, token_id, balance, timestamp FROM address_tx_history"
    ):
        if address in owned:
            entry = history.setdefault((token, tx_id), [0, timestamp_s])
            entry[0] += int(balance)
    sql = "SELECT token_id, tx_id, balance, timestamp FROM wallet_tx_history WHERE wallet_id = {}"
    assert {(r[0], r[1]): [int(r[2]), r[3]] for r in execute(connection, sql, wallet)} == history
    values = (
        "unlocked_balance, locked_balance, total_received, unlocked_authorities, locked_authorities,"
        " timelock_expires, transactions"
    )
    sums: dict[str, list[int | None]] = {}
    for address, token, *row in execute(
        connection,
        f"SELECT address, token_id, {values} FROM address_balance",  # noqa: S608 - our own names
    ):
        if address in owned:
            total = sums.setdefault(token, [0, 0, 0, 0, 0, None, 0])
            for position in range(3):
                total[position] = (total[position] or 0) + int(row[position])
            total[3], total[4] = (total[3] or 0) | row[3], (total[4] or 0) | row[4]
            if row[5] is not None:
                total[5] = row[5] if total[5] is None else min(total[5], row[5])
    for token, total in sums.items():
        total[6] = sum(1 for key in history if key[0] == token)
    sql = f"SELECT token_id, {values} FROM wallet_balance WHERE wallet_id = {{}}"  # noqa: S608 - our own names
    found = {r[0]: [*map(int, r[1:4]), *r[4:]] for r in execute(connection, sql, wallet)}
    assert found == sums
    for token, total in sums.items():
        assert (total[0] or 0) + (total[1] or 0) == sum(v[0] for k, v in history.items() if k[0] == token)
    return len(claimed)
