"""Creates, imports, locks and unlocks wallets.

A wallet's mnemonic is sealed under the wallet's own key. While the wallet is unlocked, the database also has this key,
sealed under the key-encryption key; locking removes it.
"""

import asyncio
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, select

from strongroom.atto import tables
from strongroom.atto.protocol import AccountKeys, Mnemonic
from strongroom.atto.records import WALLET_COLUMNS, WalletRecord, load_wallet, wallet_records
from strongroom.atto.wallets.attempts import KeyAttempts
from strongroom.atto.wallets.holdings import held_row, require_own_accounts
from strongroom.atto.wallets.keyring import Keyring
from strongroom.atto.wallets.rows import load_locked, parse_key, require_name, store_sealed, unknown_wallet
from strongroom.core.clock import Entropy
from strongroom.core.errors import Conflict
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.bindings import Bindings
from strongroom.core.security.trail.lanes import exclude_signatures
from strongroom.core.security.vault import Vault
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import Duplicate

ENTROPY_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWallet:
    """The secrets of a new wallet. Its creator sees them once."""

    mnemonic: Mnemonic
    encryption_key: str = field(repr=False)


class Wallets:
    """The wallets of the database."""

    def __init__(
        self,
        *,
        database: Database,
        vault: Vault,
        bindings: Bindings,
        keyring: Keyring,
        audit: Audit,
        entropy: Entropy,
        attempts: KeyAttempts,
    ) -> None:
        self._database = database
        self._vault = vault
        self._bindings = bindings
        self._keyring = keyring
        self._audit = audit
        self._entropy = entropy
        self._attempts = attempts

    async def list(self) -> list[WalletRecord]:
        return wallet_records(
            await self._database.fetch_all(select(*WALLET_COLUMNS).order_by(tables.wallet.c.name))
        )

    async def get(self, name: str) -> WalletRecord:
        wallet = await self._database.read(lambda connection: load_wallet(connection, name))
        if wallet is None:
            raise unknown_wallet(name)
        return wallet

    async def create(self, principal: Principal, name: str) -> NewWallet:
        """Creates an unlocked wallet with a new mnemonic."""
        mnemonic = Mnemonic.from_entropy32(self._entropy.token(ENTROPY_BYTES))
        return await self._insert(principal, "wallet.create", name, mnemonic, None)

    async def import_(
        self, principal: Principal, name: str, mnemonic: Mnemonic, encryption_key: str | None
    ) -> NewWallet:
        """Creates an unlocked wallet from a mnemonic. `encryption_key` is 64 hex digits; None makes a new key."""
        return await self._insert(principal, "wallet.import", name, mnemonic, encryption_key)

    async def lock(self, principal: Principal, name: str) -> None:
        """Removes the wallet's key from memory and from the database. Locking a locked wallet is no error.

        A wallet whose row was altered is locked too, but its row gets no new binding, so the service still refuses it.
        The exception: if the row without the key is as the service once wrote it, the altered part is gone and the wallet
        is good again.
        """

        def work(connection: Connection) -> WalletRecord:
            wallet = load_locked(connection, name)
            locked = replace(wallet, sealed_key=None)
            is_ours = any(self._bindings.holds(connection, held_row(one)) for one in (wallet, locked))
            store_sealed(connection, locked)
            exclude_signatures(connection)
            sequence = self._audit.append(connection, principal, "wallet.lock", name)
            if is_ours:
                self._bindings.bind(connection, [held_row(locked)], sequence)
            return wallet

        self._keyring.forget(await self._database.write(work))

    async def unlock(self, principal: Principal, name: str, encryption_key: str) -> None:
        """Checks that the key opens the sealed entropy, and stores it sealed under the key-encryption key.

        Raises:
            InvalidInput: this is not the wallet's key.
            RateLimited: there were too many wrong keys.
            VaultError: the wallet's row was altered.
            Conflict: the wallet's first account does not come from this mnemonic, or the wallet was changed meanwhile.
        """
        opened = await self._attempts.open(principal, name, encryption_key)
        keys = await asyncio.to_thread(lambda: AccountKeys(opened.mnemonic.seed()))
        sealed = self._vault.seal(opened.key)

        def work(connection: Connection) -> None:
            found = load_locked(connection, name)
            self._keyring.require_unaltered(connection, found)
            if found.sealed_entropy != opened.wallet.sealed_entropy:
                raise Conflict(f"Wallet {name} was changed meanwhile", code="wallet_changed")
            require_own_accounts(connection, name, keys)
            unlocked = replace(found, sealed_key=sealed)
            store_sealed(connection, unlocked)
            exclude_signatures(connection)
            sequence = self._audit.append(connection, principal, "wallet.unlock", name)
            self._bindings.bind(connection, [held_row(unlocked)], sequence)

        await self._database.write(work)

    async def _insert(
        self, principal: Principal, action: str, name: str, mnemonic: Mnemonic, encryption_key: str | None
    ) -> NewWallet:
        require_name(name)
        shown = encryption_key if encryption_key is not None else self._vault.new_key().hex().upper()
        key = parse_key(shown)
        wallet = WalletRecord(
            name=name,
            sealed_entropy=self._vault.seal_under(key, mnemonic.entropy),
            sealed_key=self._vault.seal(key),
        )
        row = {
            "name": name,
            "version": 0,
            "encrypted_entropy": wallet.sealed_entropy,
            "encrypted_encryption_key": wallet.sealed_key,
        }

        def work(connection: Connection) -> None:
            connection.execute(tables.wallet.insert(), row)
            sequence = self._audit.append(connection, principal, action, name)
            self._bindings.bind(connection, [held_row(wallet)], sequence)
            self._attempts.know(connection, principal, name)

        try:
            await self._database.write(work)
        except Duplicate:
            raise Conflict(f"Wallet with name {name} already exists", code="wallet_exists") from None
        return NewWallet(mnemonic=mnemonic, encryption_key=shown)
