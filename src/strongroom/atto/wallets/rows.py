"""The rows of wallets: locked while a transaction changes them, and what a name may be."""

import unicodedata

from sqlalchemy import Connection, select, update

from strongroom.atto import tables
from strongroom.atto.records import WalletRecord, load_wallet
from strongroom.core.errors import InvalidInput, NotFound
from strongroom.core.security.vault import KEY_BYTES
from strongroom.core.storage.database import locking

MAX_NAME = 255
RESERVED_NAMES = frozenset({"accounts"})


def require_name(name: str) -> None:
    """Raises InvalidInput for a name that no wallet can have."""
    if not name or len(name) > MAX_NAME:
        raise InvalidInput(f"A wallet name has 1 to {MAX_NAME} characters", code="invalid_wallet_name")
    if name in RESERVED_NAMES:
        raise InvalidInput(f"The wallet name {name} is reserved", code="invalid_wallet_name")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in name):
        raise InvalidInput("A wallet name has no control characters", code="invalid_wallet_name")


def parse_key(text: str, field: str = "encryptionKey") -> bytes:
    """Raises: InvalidInput: it is no key of a wallet."""
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise InvalidInput(f"{field} must be {2 * KEY_BYTES} hex digits", code="invalid_encryption_key")
    return key


def lock_wallet(connection: Connection, name: str) -> WalletRecord:
    """Locks the wallet's row until the transaction ends, so that two transactions never assign the same account index.

    Raises:
        NotFound: there is no such wallet.
    """
    connection.execute(locking(select(tables.wallet.c.name).where(tables.wallet.c.name == name))).all()
    wallet = load_wallet(connection, name)
    if wallet is None:
        raise NotFound(f"Wallet {name} does not exist", code="wallet_not_found")
    return wallet


def load_locked(connection: Connection, name: str) -> WalletRecord:
    """`lock_wallet`, with the error of the routes about wallets."""
    try:
        return lock_wallet(connection, name)
    except NotFound:
        raise unknown_wallet(name) from None


def unknown_wallet(name: str) -> NotFound:
    """The error of the routes about wallets. The routes about accounts word it differently, as the original server does."""
    return NotFound(f"Wallet with {name} not found", code="wallet_not_found")


def store_sealed(connection: Connection, wallet: WalletRecord) -> None:
    """Stores the wallet's sealed values."""
    columns = tables.wallet.c
    values = {
        "encrypted_entropy": wallet.sealed_entropy,
        "encrypted_encryption_key": wallet.sealed_key,
        "version": columns.version + 1,
    }
    connection.execute(update(tables.wallet).where(columns.name == wallet.name).values(values))
