"""Imports wallets into the vault, lists them, and removes them. No function returns a secret."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete

from strongroom.bittensor import tables
from strongroom.bittensor.keystore.holdings import held_row
from strongroom.bittensor.keystore.keyfile_folder import WalletFolder
from strongroom.bittensor.keystore.names import KeyKind, KeyName, coldkey, proxy
from strongroom.bittensor.keystore.vault_keys import load_key, load_keys, store_key
from strongroom.bittensor.protocol.errors import KeyFileError
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.bittensor.protocol.proxies import Delegation
from strongroom.bittensor.protocol.ss58 import encode_address
from strongroom.core.clock import Clock
from strongroom.core.errors import Conflict, NotFound
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.bindings import Bindings
from strongroom.core.security.trail.lanes import exclude_signatures
from strongroom.core.security.vault import Vault
from strongroom.core.storage.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key to import. Without `keypair` the vault stores its address alone."""

    key: KeyName
    public_key: bytes
    keypair: Keypair | None = field(repr=False)
    delegation: Delegation | None = None
    """Of a proxy's key: for whom it calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEntry:
    key: KeyName
    address: str | None
    """None: the folder's file does not tell it without its password."""
    place: str
    """`vault`, `vault (address only)` or `folder`."""
    delegation: Delegation | None = None


class Wallets:
    def __init__(
        self,
        *,
        database: Database,
        vault: Vault,
        bindings: Bindings,
        folder: WalletFolder | None,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._database = database
        self._vault = vault
        self._bindings = bindings
        self._folder = folder
        self._audit = audit
        self._clock = clock

    async def import_(self, principal: Principal, keys: Sequence[NewKey]) -> list[KeyName]:
        """Seals the keys and stores all of them or none. Returns the keys that are new.

        Raises:
            Conflict: one of the names belongs to another key, the proxy is of another coldkey than the wallet's, or a proxy's
                key would be a hotkey or a coldkey too.
            VaultError: the row of a key that is there was altered.
        """
        now_ms = self._clock.now_ms()
        sealed = [
            (new, None if new.keypair is None else self._vault.seal(new.keypair.secret())) for new in keys
        ]

        def work(connection: Connection) -> list[KeyName]:
            for new in keys:
                if (found := load_key(connection, new.key)) is not None:
                    self._bindings.require(connection, held_row(found))
            added = [
                new
                for new, secret in sealed
                if store_key(connection, new.key, new.public_key, secret, now_ms, new.delegation)
            ]
            for wallet in {new.key.wallet for new in added}:
                _require_own_proxy(connection, wallet)
            if added:
                _require_proxies_apart(connection)
            for new in added:
                facts = {"address": encode_address(new.public_key), "secret": new.keypair is not None}
                if new.delegation is not None:
                    facts |= {"proxyFor": new.delegation.address, "proxyType": new.delegation.proxy_type}
                sequence = self._audit.append(connection, principal, "key.import", str(new.key), facts)
                stored = load_key(connection, new.key)
                assert stored is not None  # noqa: S101 - it was written above
                self._bindings.bind(connection, [held_row(stored)], sequence)
            return [new.key for new in added]

        return await self._database.write(work)

    async def remove(self, principal: Principal, key: KeyName) -> None:
        """Deletes a key from the vault. Files in the folder stay.

        Raises:
            NotFound: the vault does not have it.
        """
        column = tables.key.c
        statement = delete(tables.key).where(
            column.wallet == key.wallet, column.kind == key.kind, column.name == key.name
        )

        def work(connection: Connection) -> None:
            if connection.execute(statement).rowcount == 0:
                raise NotFound(f"The vault has no key {key}", code="key_not_found")
            self._bindings.unbind(connection, str(key))
            exclude_signatures(connection)
            self._audit.append(connection, principal, "key.remove", str(key))

        await self._database.write(work)

    async def list(self) -> list[KeyEntry]:
        """Lists the keys in the vault, then those that are only in the folder."""
        stored = await self._database.read(load_keys)
        found = [
            KeyEntry(
                key=one.key,
                address=one.public.address,
                place="vault" if one.sealed_secret is not None else "vault (address only)",
                delegation=one.delegation,
            )
            for one in stored
        ]
        in_vault = {one.key for one in stored if one.sealed_secret is not None}
        if self._folder is not None:
            in_folder = await asyncio.to_thread(_entries, self._folder)
            found += [entry for entry in in_folder if entry.key not in in_vault]
        return found


def _require_own_proxy(connection: Connection, wallet: str) -> None:
    """Raises: Conflict: the wallet's proxy calls for another account than the wallet's coldkey, or for itself."""
    found = load_key(connection, proxy(wallet))
    if found is None or found.delegation is None:
        return
    owner = load_key(connection, coldkey(wallet))
    if owner is not None and owner.public_key != found.delegation.real:
        raise Conflict(
            f"The coldkey of {wallet} is {owner.public.address}, and its proxy is one of {found.delegation.address}",
            code="key_exists",
        )
    if found.public_key == found.delegation.real:
        raise Conflict(f"{found.public.address} is no proxy of itself", code="key_exists")


def _require_proxies_apart(connection: Connection) -> None:
    """Raises: Conflict: a proxy's key is a hotkey or a coldkey too, and would sign what a proxy does not sign."""
    stored = load_keys(connection)
    proxies = {one.public_key: one for one in stored if one.key.kind is KeyKind.PROXY}
    for one in stored:
        found = proxies.get(one.public_key)
        if found is not None and one.key.kind is not KeyKind.PROXY:
            raise Conflict(
                f"{found.public.address} would be both {found.key} and {one.key}: a proxy's key signs nothing else",
                code="key_exists",
            )


def _entries(folder: WalletFolder) -> list[KeyEntry]:
    return [
        KeyEntry(key=key, address=_address(folder, key), place="folder")
        for wallet in folder.wallets()
        for key in folder.keys(wallet)
    ]


def _address(folder: WalletFolder, key: KeyName) -> str | None:
    try:
        public = folder.public(key)
    except KeyFileError:
        return None
    return None if public is None else public.address
