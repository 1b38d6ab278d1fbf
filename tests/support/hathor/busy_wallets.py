"""Wallets with a history, put into the tables as the sync would have left them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from coincurve import PrivateKey
from sqlalchemy import Connection

from strongroom.core.bulk import chunks, upsert_rows
from strongroom.hathor import tables
from strongroom.hathor.protocol.addresses import PRIVATENET
from strongroom.hathor.protocol.hashes import base58check_encode
from strongroom.hathor.protocol.keys import XPUB_VERSION, address_chain
from strongroom.hathor.protocol.messages import authentication_message, sign_message
from strongroom.hathor.tokens import Tokens
from strongroom.hathor.wallets import key_address

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
    columns = ("id", "xpubkey", "auth_xpubkey", "status", "created_at", "ready_at", "last_used_address_index")
    ids = wallet_ids(plan)
    rows = [(wallet, AUTH_XPUB, AUTH_XPUB, "ready", BORN_S, BORN_S, USED - 1) for wallet in ids]
    upsert_rows(connection, tables.wallet, columns, rows, ("status",))
    upsert_rows(connection, tables.token, ("id", "name", "symbol"), [(TOKEN, "Bench", "BEN")], ("name",))
    columns = ("wallet_id", "token_id", "unlocked_balance", "locked_balance", "transactions")
    balances = ((wallet, token, 2**60 + 7, 5, plan.transactions) for wallet in ids for token in ("00", TOKEN))
    upsert_rows(connection, tables.wallet_balance, columns, balances, ("transactions",))
    columns = ("address", "index", "wallet_id", "bip32_account", "transactions")
    owned = (
        (f"W{wallet[:26]}{index:07d}", index, wallet, 0, plan.transactions if index < USED else 0)
        for wallet in ids
        for index in range(plan.addresses)
    )
    upsert_rows(connection, tables.address, columns, owned, ("transactions",))
    for number, wallet in enumerate(ids):
        _load_history(connection, wallet, number, plan)


def _load_history(connection: Connection, wallet: str, number: int, plan: Plan) -> None:
    made = [f"{(number * plan.transactions + step) * 2**180:064x}" for step in range(plan.transactions)]
    columns = ("tx_id", "timestamp", "version", "weight")
    vertices = [(tx_id, BORN_S + step, 1, 17.5) for step, tx_id in enumerate(made)]
    upsert_rows(connection, tables.transaction, columns, vertices, ("version",))
    columns = ("wallet_id", "token_id", "tx_id", "balance", "timestamp")
    history = [(wallet, "00", tx_id, 7, BORN_S + step) for step, tx_id in enumerate(made)]
    upsert_rows(connection, tables.wallet_tx_history, columns, history, ("balance",))
    columns = ("tx_id", "index", "token_id", "address", "value", "authorities")
    outputs = [(tx_id, 0, "00", f"W{wallet[:26]}{0:07d}", 7, 0) for tx_id in made]
    upsert_rows(connection, tables.tx_output, columns, outputs, ("value",))


def chain_addresses(xpub: str, count: int) -> list[str]:
    chain = address_chain(xpub)
    return [chain.child_address(index).encode(PRIVATENET) for index in range(count)]


def load_seen_addresses(connection: Connection, addresses: Sequence[str], transactions: int = 20) -> None:
    """Addresses that nobody claimed yet, each with one output out of one of a few transactions."""
    made = [f"{2**255 + step:064x}" for step in range(transactions)]
    rows: Iterable[tuple[object, ...]] = [(tx_id, BORN_S + step, 1, 17.5) for step, tx_id in enumerate(made)]
    columns = ("tx_id", "timestamp", "version", "weight")
    upsert_rows(connection, tables.transaction, columns, rows, ("version",))
    rows = ((address, 1) for address in addresses)
    upsert_rows(connection, tables.address, ("address", "transactions"), rows, ("transactions",))
    columns = ("address", "token_id", "unlocked_balance", "transactions", "total_received")
    rows = ((address, "00", 7, 1, 7) for address in addresses)
    upsert_rows(connection, tables.address_balance, columns, rows, ("transactions",))
    of = [(address, made[number % transactions], number) for number, address in enumerate(addresses)]
    columns = ("address", "tx_id", "token_id", "balance", "timestamp")
    rows = ((address, tx_id, "00", 7, BORN_S + number % transactions) for address, tx_id, number in of)
    upsert_rows(connection, tables.address_tx_history, columns, rows, ("balance",))
    columns = ("tx_id", "index", "token_id", "address", "value", "authorities")
    for chunk in chunks(of, 1_000):
        rows = [(tx_id, number // transactions, "00", address, 7, 0) for address, tx_id, number in chunk]
        upsert_rows(connection, tables.tx_output, columns, rows, ("value",))
