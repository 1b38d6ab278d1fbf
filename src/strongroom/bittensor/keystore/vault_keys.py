"""Keys in the vault: a row has a sealed secret, or an address alone. That of a proxy also says for whom it calls."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select, update

from strongroom.bittensor import tables
from strongroom.bittensor.keystore.names import KeyKind, KeyName
from strongroom.bittensor.protocol.keyfiles import PublicKey
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.bittensor.protocol.proxies import Delegation, ProxyType
from strongroom.core.errors import Conflict, VaultError
from strongroom.core.security.vault import Vault
from strongroom.core.storage.database import locking

_key = tables.key


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    key: KeyName
    public_key: bytes
    sealed_secret: bytes | None = field(repr=False)
    delegation: Delegation | None = None
    """Of a proxy's key."""

    @property
    def public(self) -> PublicKey:
        return PublicKey(public_key=self.public_key)


def load_key(connection: Connection, key: KeyName) -> StoredKey | None:
    found = connection.execute(select(_key).where(*is_key(key))).first()
    return None if found is None else _stored(found)


def load_keys(connection: Connection, *wallets: str, lock: bool = False) -> list[StoredKey]:
    """Reads the keys of these wallets, or of all, sorted. `lock` locks their rows until the transaction ends."""
    query = select(_key).order_by(_key.c.wallet, _key.c.kind, _key.c.name)
    if wallets:
        query = query.where(_key.c.wallet.in_(wallets))
    return [_stored(row) for row in connection.execute(locking(query) if lock else query)]


def open_key(vault: Vault, stored: StoredKey) -> Keypair:
    """Opens the secret.

    Raises:
        VaultError: it was sealed under another key-encryption key, or the row was altered.
    """
    try:
        keypair = Keypair(vault.open(stored.sealed_secret or b""))
    except (VaultError, ValueError):
        raise VaultError(
            f"The key {stored.key} was sealed under another key-encryption key than the configured one"
        ) from None
    if keypair.public_key != stored.public_key:
        raise VaultError(f"The sealed secret of {stored.key} belongs to another key: its row was altered")
    return keypair


def store_key(
    connection: Connection,
    key: KeyName,
    public_key: bytes,
    sealed_secret: bytes | None,
    now_ms: int,
    delegation: Delegation | None = None,
) -> bool:
    """Adds a key, or the secret to a key whose address alone was known. Returns whether anything changed.

    Raises:
        Conflict: the name belongs to another key.
    """
    found = connection.execute(locking(select(_key).where(*is_key(key)))).first()
    if found is None:
        row = {
            "wallet": key.wallet,
            "kind": key.kind,
            "name": key.name,
            "public_key": public_key,
            "sealed_secret": sealed_secret,
            "created_at_ms": now_ms,
            "proxy_for": None if delegation is None else delegation.real,
            "proxy_type": None if delegation is None else delegation.proxy_type,
        }
        connection.execute(_key.insert(), row)
        return True
    if found.public_key != public_key or _stored(found).delegation != delegation:
        raise Conflict(f"{key} is another key in the vault", code="key_exists")
    if found.sealed_secret is not None or sealed_secret is None:
        return False
    connection.execute(update(_key).where(*is_key(key)).values(sealed_secret=sealed_secret))
    return True


def is_key(key: KeyName) -> tuple[ColumnElement[bool], ...]:
    return (_key.c.wallet == key.wallet, _key.c.kind == key.kind, _key.c.name == key.name)


def _stored(row: Row[Any]) -> StoredKey:
    return StoredKey(
        key=KeyName(wallet=row.wallet, kind=KeyKind(row.kind), name=row.name),
        public_key=row.public_key,
        sealed_secret=row.sealed_secret,
        delegation=_delegation(row),
    )


def _delegation(row: Row[Any]) -> Delegation | None:
    """None also where another program has written a type that no key here has: the row is not as it was bound then."""
    if row.proxy_for is None or row.proxy_type not in set(ProxyType):
        return None
    return Delegation(real=row.proxy_for, proxy_type=ProxyType(row.proxy_type))
