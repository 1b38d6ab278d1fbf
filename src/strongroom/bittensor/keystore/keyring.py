"""Finds and opens keys: those in the vault, then those in a folder of wallets. A proxy of a coldkey is in the vault only.

A key in the vault is opened for one signature, which takes microseconds. A key in the folder may take seconds, so it stays in
memory until it was unused for `cache_s`, or its file changed. It is never written anywhere.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from strongroom.bittensor.keystore.decryption import unlock
from strongroom.bittensor.keystore.holdings import held_row
from strongroom.bittensor.keystore.keyfile_folder import KeyFile, WalletFolder, password_for
from strongroom.bittensor.keystore.names import HotkeyNames, KeyKind, KeyName, Signer, coldkey, hotkey, proxy
from strongroom.bittensor.keystore.vault_keys import StoredKey, load_key, load_keys, open_key
from strongroom.bittensor.protocol.errors import KeyFileError, PasswordNeeded, WrongPassword
from strongroom.bittensor.protocol.keyfiles import Encryption, PublicKey, encryption_of
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.bittensor.protocol.proxies import Delegation
from strongroom.core.clock import Clock
from strongroom.core.environment import Secret
from strongroom.core.errors import Locked, NotFound, VaultError
from strongroom.core.security.bindings import Bindings
from strongroom.core.security.vault import Vault
from strongroom.core.storage.database import Database

CacheKey = tuple[KeyName, tuple[int, int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletInfo:
    wallet: str
    hotkey: str
    hotkey_address: str
    coldkey_address: str | None
    is_unlocked: bool
    """True if the hotkey can sign now."""
    coldkey_proxy: str | None = None
    """The address of the key that signs the coldkey's calls in its place."""
    delegation: Delegation | None = None
    """What that key is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signatory:
    """The open key that signs a call, and for whom it calls."""

    keypair: Keypair
    delegation: Delegation | None = None
    """None: for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFiles:
    """Key files that are used where they lie, and their passwords."""

    folder: WalletFolder | None
    variables: Mapping[str, str]
    """The variables `BT_PW_...`, each the password of one file."""
    general: Secret | None
    """The password of all other files."""


class Keyring:
    """Finds and opens keys. No other object keeps an open key."""

    def __init__(
        self,
        *,
        database: Database,
        vault: Vault,
        bindings: Bindings,
        files: KeyFiles,
        clock: Clock,
        cache_s: int,
        refused: Callable[[str, str], None],
    ) -> None:
        """`refused` gets the name of a vault key that must not be used, and why."""
        self._database = database
        self._vault = vault
        self._bindings = bindings
        self._refused_rows = refused
        self._folder = files.folder
        self._files = files
        self._clock = clock
        self._cache_s = cache_s
        self._opened: dict[CacheKey, tuple[Keypair, float]] = {}
        self._refused: dict[CacheKey, KeyFileError] = {}
        self._unlocking = asyncio.Lock()

    async def public(self, key: KeyName) -> PublicKey:
        """Returns the public half of a key, without opening it.

        Raises:
            NotFound: the vault and the folder have no such key.
            VaultError: the folder's file is damaged.
        """
        stored = await self._stored(key)
        if stored is not None:
            return stored.public
        if key.kind is KeyKind.COLDKEY:
            caller = await self._stored(proxy(key.wallet))
            if caller is not None and caller.delegation is not None:
                return PublicKey(public_key=caller.delegation.real)
        if self._folder is None:
            raise await self._unknown(key)
        try:
            found = await asyncio.to_thread(self._folder.public, key)
        except PasswordNeeded as error:
            if key.kind is KeyKind.COLDKEY:  # the address alone is no reason to open a key
                raise _locked(key, error) from None
            return PublicKey(public_key=(await self.open(key)).public_key)
        except KeyFileError as error:
            raise VaultError(f"{key}: {error}") from None
        if found is None:
            raise await self._unknown(key)
        return found

    async def open(self, key: KeyName) -> Keypair:
        """Opens a key for signing. Call it only after the use is allowed.

        Raises:
            NotFound: there is no such key.
            Locked: it is encrypted, and there is no password, or a wrong one; or only its address is known.
            VaultError: sealed under another key-encryption key, or the file is damaged.
        """
        self._vault.require_open()  # while the service is sealed, it signs with no key, wherever it lies
        stored = await self._stored(key)
        if stored is not None and stored.sealed_secret is not None:
            try:
                return open_key(self._vault, stored)
            except VaultError as error:
                self._refused_rows(str(key), error.message)
                raise
        file = await self._file(key)
        if file is None:
            if stored is not None:
                raise Locked(f"Of {key} the address alone is known", code="key_locked")
            raise await self._unknown(key)
        keypair = await self._open_file(key, file)
        if stored is not None and stored.public_key != keypair.public_key:
            raise VaultError(f"{key} is another key in the folder than in the vault")
        return keypair

    async def delegation(self, signer: Signer) -> Delegation | None:
        """Returns for whom the wallet's proxy calls, if it has one and its coldkey is asked to sign.

        Raises:
            VaultError: something else than the service changed the proxy's row.
        """
        if not signer.coldkey:
            return None
        stored = await self._stored(proxy(signer.key.wallet))
        return None if stored is None else stored.delegation

    async def signatory(self, signer: Signer) -> Signatory:
        """Opens the key that signs a call: in place of a coldkey its proxy, if the wallet has one.

        Raises:
            As `open`.
        """
        delegation = await self.delegation(signer)
        if delegation is None:
            return Signatory(keypair=await self.open(signer.key))
        return Signatory(keypair=await self.open(proxy(signer.wallet)), delegation=delegation)

    async def info(self, wallet: str, name: str) -> WalletInfo:
        """Raises: NotFound: there is no such wallet or hotkey."""
        signer = hotkey(wallet, name)
        public = await self.public(signer)
        try:
            owner: str | None = (await self.public(coldkey(wallet))).address
        except (NotFound, Locked, VaultError):
            owner = None
        caller = await self._stored(proxy(wallet))
        return WalletInfo(
            wallet=wallet,
            hotkey=name,
            hotkey_address=public.address,
            coldkey_address=owner,
            is_unlocked=await self._is_open(signer),
            coldkey_proxy=None if caller is None else caller.public.address,
            delegation=None if caller is None else caller.delegation,
        )

    async def hotkeys(self, wallet: str) -> HotkeyNames:
        """Returns the addresses of the wallet's hotkeys. It opens no key.

        Raises:
            VaultError: something else than the service changed a row.
        """
        stored = await self._database.read(lambda connection: load_keys(connection, wallet))
        hotkeys = [one.key for one in stored if one.key.kind is KeyKind.HOTKEY]
        names = {(await self.public(key)).address: key.name for key in hotkeys}
        if self._folder is None:
            return HotkeyNames(names=names)
        in_folder = await asyncio.to_thread(_addresses, self._folder, wallet)
        told = {address: name for name, address in in_folder.items() if address is not None}
        is_complete = all(
            address is not None or name in names.values() for name, address in in_folder.items()
        )
        return HotkeyNames(names=told | names, is_complete=is_complete)

    async def _is_open(self, key: KeyName) -> bool:
        stored = await self._stored(key)
        if stored is not None and stored.sealed_secret is not None:
            return True
        file = await self._file(key)
        if file is None:
            return False
        self.forget_unused()
        return (key, file.stamp) in self._opened or encryption_of(file.data) is Encryption.NONE

    async def _file(self, key: KeyName) -> KeyFile | None:
        if self._folder is None or key.kind is KeyKind.PROXY:
            return None
        try:
            return await asyncio.to_thread(self._folder.key_file, key)
        except KeyFileError as error:
            raise VaultError(f"{key}: {error}") from None

    async def _open_file(self, key: KeyName, file: KeyFile) -> Keypair:
        cache_key = (key, file.stamp)
        async with self._unlocking:  # the next request for the same key finds it open
            self.forget_unused()
            found = self._opened.pop(cache_key, None)
            keypair = found[0] if found else await self._unlock(key, cache_key, file)
            self._vault.require_open()
            if self._cache_s:
                self._opened[cache_key] = (keypair, self._clock.monotonic_s())
            return keypair

    async def _unlock(self, key: KeyName, cache_key: CacheKey, file: KeyFile) -> Keypair:
        if cache_key in self._refused:  # a second try costs seconds and 512 MiB, and gives the same answer
            raise _locked(key, self._refused[cache_key])
        general = self._files.general
        try:
            password = password_for(
                file.path, self._files.variables, general.reveal() if general is not None else None
            )
            keypair = await unlock(file.data, password)
            await self._check_public(key, keypair)
        except (PasswordNeeded, WrongPassword) as error:
            self._refused = {at: why for at, why in self._refused.items() if at[0] != key} | {
                cache_key: error
            }
            raise _locked(key, error) from None
        except KeyFileError as error:
            raise VaultError(f"{key}: {error}") from None
        return keypair

    async def _check_public(self, key: KeyName, keypair: Keypair) -> None:
        """Checks that the stored address is that of the key that signs."""
        if self._folder is None:
            return
        with contextlib.suppress(PasswordNeeded):
            public = await asyncio.to_thread(self._folder.public, key)
            if public is not None and public.public_key != keypair.public_key:
                raise KeyFileError("its public file is that of another key")

    def forget_all(self) -> None:
        """Drops all open keys, because the service is sealed."""
        self._opened.clear()

    def forget_unused(self) -> None:
        """Drops open keys that were not used for `cache_s`. The first of them is unused for the longest time."""
        while self._opened:
            cache_key, (_, used_s) = next(iter(self._opened.items()))
            if used_s + self._cache_s > self._clock.monotonic_s():
                return
            self._opened.pop(cache_key, None)

    async def _stored(self, key: KeyName) -> StoredKey | None:
        """Reads the key's row in the vault.

        Raises:
            VaultError: something else than the service changed it.
        """

        def work(connection: Connection) -> StoredKey | None:
            stored = load_key(connection, key)
            if stored is not None:
                self._bindings.require(connection, held_row(stored))
            return stored

        try:
            return await self._database.read(work)
        except VaultError as error:
            self._refused_rows(str(key), error.message.removeprefix(f"Key {key} "))
            raise

    async def _unknown(self, key: KeyName) -> NotFound:
        """Makes the error for a key that does not exist, in the original's words."""
        known = await self._database.read(lambda connection: load_keys(connection, key.wallet))
        if known or (
            self._folder is not None and await asyncio.to_thread(self._folder.has_wallet, key.wallet)
        ):
            if key.kind is not KeyKind.HOTKEY:
                return NotFound(f"Coldkey not found for wallet {key.wallet}", code="coldkey_not_found")
            return NotFound(
                f"Hotkey file not found for wallet {key.wallet}, hotkey {key.name}", code="hotkey_not_found"
            )
        return NotFound(f"Wallet {key.wallet} not found", code="wallet_not_found")


def _addresses(folder: WalletFolder, wallet: str) -> dict[str, str | None]:
    """The addresses of the folder's hotkeys; None: a file does not tell it without its password."""
    found: dict[str, str | None] = {}
    for key in folder.keys(wallet):
        if key.kind is KeyKind.COLDKEY:
            continue
        try:
            public = folder.public(key)
        except KeyFileError:
            public = None
        found[key.name] = None if public is None else public.address
    return found


def _locked(key: KeyName, error: KeyFileError) -> Locked:
    code = "wrong_password" if isinstance(error, WrongPassword) else "key_locked"
    return Locked(f"{key} is locked: {error}", code=code)
