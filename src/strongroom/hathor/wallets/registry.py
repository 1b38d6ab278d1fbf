"""Reads and registers wallets, and changes their authentication keys."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, select

from strongroom.core.coordination.locks import take_one_of
from strongroom.core.errors import Conflict, NotFound
from strongroom.core.storage.database import Database, locking
from strongroom.core.storage.errors import Duplicate
from strongroom.core.storage.statements import Statement, arg, execute
from strongroom.hathor import tables
from strongroom.hathor.protocol.addresses import Network
from strongroom.hathor.protocol.keys import parse_xpub

READY = "ready"
CREATING = "creating"
ERROR = "error"
LOCK = "hathor:wallet"
_wallet = tables.wallet.c
BY_ID = Statement(
    select(
        _wallet.id,
        _wallet.xpubkey,
        _wallet.auth_xpubkey,
        _wallet.status,
        _wallet.retry_count,
        _wallet.max_gap,
        _wallet.created_at,
        _wallet.ready_at,
        _wallet.last_used_address_index,
        _wallet.shielded_max_gap,
        _wallet.last_used_shielded_index,
        _wallet.ct_status,
    ).where(_wallet.id == arg("wallet_id")),
    "wallet_id",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    id: str
    xpubkey: str
    auth_xpubkey: str
    own_status: str
    retry_count: int
    max_gap: int
    created_at_s: int
    ready_at_s: int | None
    last_used_index: int
    shielded_max_gap: int | None
    last_used_shielded_index: int | None
    shielded_status: str

    @property
    def status(self) -> str:
        """The status of both halves together, transparent and shielded: the worse one."""
        if self.shielded_status == "none":
            return self.own_status
        halves = {self.own_status, self.shielded_status}
        return next((status for status in (ERROR, CREATING) if status in halves), READY)


def new_wallet(*, wallet_id: str, xpubkey: str, auth_xpubkey: str, max_gap: int, created_at_s: int) -> Wallet:
    """Makes a wallet that is not registered yet."""
    return Wallet(
        id=wallet_id,
        xpubkey=xpubkey,
        auth_xpubkey=auth_xpubkey,
        own_status=CREATING,
        retry_count=0,
        max_gap=max_gap,
        created_at_s=created_at_s,
        ready_at_s=None,
        last_used_index=-1,
        shielded_max_gap=None,
        last_used_shielded_index=None,
        shielded_status="none",
    )


@lru_cache(maxsize=16_384)
def key_address(xpub: str, network: Network) -> str:
    """Returns the address of an xpub's own key, which signs the authentication messages. Raises: ProtocolError."""
    return parse_xpub(xpub).address().encode(network)


async def read_wallet(database: Database, wallet_id: str) -> Wallet | None:
    """Reads a wallet by `Database.query`; None: there is none."""
    rows = await database.query(BY_ID, wallet_id)
    return _load(rows[0]) if rows else None


def find_wallet(connection: Connection, wallet_id: str) -> Wallet | None:
    rows = execute(connection, BY_ID, wallet_id)
    return _load(rows[0]) if rows else None


def lock_wallet(connection: Connection, wallet_id: str) -> bool:
    """Locks a wallet: nobody deletes or changes it until the transaction ends. Returns whether there is one."""
    take_one_of(connection, LOCK, wallet_id.encode())
    query = select(tables.wallet.c.id).where(tables.wallet.c.id == wallet_id)
    return connection.execute(locking(query)).first() is not None


class WalletNotFound(NotFound):
    code = "wallet-not-found"

    def __init__(self) -> None:
        super().__init__("There is no such wallet")


async def register_wallet(database: Database, wallet: Wallet) -> Wallet:
    """As `register`, in a transaction of its own."""
    return await database.write(lambda connection: register(connection, wallet))


async def replace_auth_key(database: Database, wallet_id: str, auth_xpubkey: str) -> Wallet:
    """Changes the authentication key, which ends the tokens that are bound to the old one. Raises: WalletNotFound."""
    return await database.write(lambda connection: change_auth_key(connection, wallet_id, auth_xpubkey))


def register(connection: Connection, wallet: Wallet) -> Wallet:
    """Inserts the wallet in status `creating`; one in status `error` gets that status again.

    Raises:
        Conflict: another request did it first.
    """
    stored = find_wallet(connection, wallet.id)
    if stored is not None:
        table = tables.wallet
        again = table.update().where(table.c.id == wallet.id, table.c.status == ERROR)
        if connection.execute(again.values(status=CREATING)).rowcount == 0:
            raise Conflict("The wallet is already being loaded")
    else:
        row = {
            "id": wallet.id,
            "xpubkey": wallet.xpubkey,
            "auth_xpubkey": wallet.auth_xpubkey,
            "status": CREATING,
            "max_gap": wallet.max_gap,
            "created_at": wallet.created_at_s,
        }
        try:
            connection.execute(tables.wallet.insert(), row)
        except Duplicate as error:
            raise Conflict("The wallet is already being loaded") from error
    return _existing(connection, wallet.id)


def change_auth_key(connection: Connection, wallet_id: str, auth_xpubkey: str) -> Wallet:
    """Changes the authentication key, which ends the tokens that are bound to the old one. Raises: WalletNotFound."""
    table = tables.wallet
    lock_wallet(connection, wallet_id)
    connection.execute(table.update().where(table.c.id == wallet_id).values(auth_xpubkey=auth_xpubkey))
    return _existing(connection, wallet_id)


def _existing(connection: Connection, wallet_id: str) -> Wallet:
    wallet = find_wallet(connection, wallet_id)
    if wallet is None:
        raise WalletNotFound
    return wallet


def _load(row: tuple[Any, ...]) -> Wallet:
    return Wallet(
        id=row[0],
        xpubkey=row[1],
        auth_xpubkey=row[2],
        own_status=row[3],
        retry_count=row[4],
        max_gap=row[5],
        created_at_s=row[6],
        ready_at_s=row[7],
        last_used_index=row[8],
        shielded_max_gap=row[9],
        last_used_shielded_index=row[10],
        shielded_status=row[11],
    )
