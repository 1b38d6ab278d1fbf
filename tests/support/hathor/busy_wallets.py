"""Wallets with a history, put into the tables as the sync would have left them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from coincurve import PrivateKey
from sqlalchemy import Connection
from sqlalchemy.sql.schema import Table

from strongroom.core.storage.statements import Values, upsert_rows
from strongroom.hathor import tables
from strongroom.hathor.protocol.addresses import PRIVATENET
from strongroom.hathor.protocol.hashes import base58check_encode
from strongroom.hathor.protocol.keys import XPUB_VERSION, address_chain
from strongroom.hathor.protocol.messages import authentication_message, sign_message
from strongroom.hathor.wallets.jwt import Tokens
from strongroom.hathor.wallets.registry import key_address

TOKEN = "aa" * 32
KEY = b"\5" * 32
AUTH_XPUB = base58check_encode(
    XPUB_VERSION + bytes(9) + bytes(32) + PrivateKey(KEY).public_key.format(compressed=True)
)
"""Every wallet here has the same authentication key."""
BORN_S = 1_700_000_000
USED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    wallets: int
    addresses: int
    transactions: int


def full_token(tokens: Tokens, wallet_id: str, now_s: int) -> str:
    address = key_address(AUTH_XPUB, PRIVATENET)
    signature = sign_message(authentication_message(now_s, wallet_id, address), KEY)
    return tokens.issue_full(signature=signature, timestamp_s=now_s, address=address, wallet_id=wallet_id)


def wallet_ids(plan: Plan) -> list[str]:
    return [f"{number * 2**240 // plan.wallets:060x}beef" for number in range(plan.wallets)]


def load_ready_wallets(connection: Connection, plan: Plan) -> None:
    """Wallets in status `ready` with two tokens, a history, and an output for each transaction."""

    def put(table: Table, columns: str, rows: Iterable[Values]) -> None:
        _put(connection, table, columns, rows)

    ids = wallet_ids(plan)
    put(
        tables.wallet,
        "id xpubkey auth_xpubkey status created_at ready_at last_used_address_index",
        ((wallet, AUTH_XPUB, AUTH_XPUB, "ready", BORN_S, BORN_S, USED - 1) for wallet in ids),
    )
    put(tables.token, "id name symbol", [(TOKEN, "Bench", "BEN")])
    put(
        tables.wallet_balance,
        "wallet_id token_id unlocked_balance locked_balance transactions",
        ((wallet, token, 2**60 + 7, 5, plan.transactions) for wallet in ids for token in ("00", TOKEN)),
    )
    put(
        tables.address,
        "address index wallet_id bip32_account transactions",
        (
            (_address(wallet, index), index, wallet, 0, plan.transactions if index < USED else 0)
            for wallet in ids
            for index in range(plan.addresses)
        ),
    )
    for number, wallet in enumerate(ids):
        _load_history(connection, wallet, number, plan)


def _address(wallet: str, index: int) -> str:
    return f"W{wallet[:26]}{index:07d}"


def _load_history(connection: Connection, wallet: str, number: int, plan: Plan) -> None:
    made = [f"{(number * plan.transactions + step) * 2**180:064x}" for step in range(plan.transactions)]
    vertices = [(tx_id, BORN_S + step, 1, 17.5) for step, tx_id in enumerate(made)]
    _put(connection, tables.transaction, "tx_id timestamp version weight", vertices)
    history = [(wallet, "00", tx_id, 7, BORN_S + step) for step, tx_id in enumerate(made)]
    _put(connection, tables.wallet_tx_history, "wallet_id token_id tx_id balance timestamp", history)
    outputs = [(tx_id, 0, "00", _address(wallet, 0), 7, 0) for tx_id in made]
    _put(connection, tables.tx_output, "tx_id index token_id address value authorities", outputs)


def _put(connection: Connection, table: Table, columns: str, rows: Iterable[Values]) -> None:
    names = columns.split()
    upsert_rows(connection, table, names, rows, names[-1:])


def chain_addresses(xpub: str, count: int) -> list[str]:
    chain = address_chain(xpub)
    return [chain.child_address(index).encode(PRIVATENET) for index in range(count)]


def load_seen_addresses(connection: Connection, addresses: Sequence[str], transactions: int = 20) -> None:
    """Addresses that nobody claimed yet, each with one output out of one of a few transactions."""

    def put(table: Table, columns: str, rows: Iterable[Values]) -> None:
        _put(connection, table, columns, rows)

    made = [f"{2**255 + step:064x}" for step in range(transactions)]
    of = [
        (address, made[number % transactions], BORN_S + number % transactions, number // transactions)
        for number, address in enumerate(addresses)
    ]
    put(
        tables.transaction,
        "tx_id timestamp version weight",
        ((tx_id, BORN_S + step, 1, 17.5) for step, tx_id in enumerate(made)),
    )
    put(tables.address, "address transactions", ((address, 1) for address in addresses))
    put(
        tables.address_balance,
        "address token_id unlocked_balance transactions total_received",
        ((address, "00", 7, 1, 7) for address in addresses),
    )
    put(
        tables.address_tx_history,
        "address tx_id token_id balance timestamp",
        ((address, tx_id, "00", 7, time_s) for address, tx_id, time_s, _index in of),
    )
    put(
        tables.tx_output,
        "tx_id index token_id address value authorities",
        ((tx_id, index, "00", address, 7, 0) for address, tx_id, _time_s, index in of),
    )
