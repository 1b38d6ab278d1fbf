"""Gives a wallet another key of its own.

The entropy is sealed anew under the new key, and the new key, while the wallet is unlocked, under the key-encryption key, in one
transaction with the wallet's binding and the audit row. Sealed values that were put back from before are refused by the binding,
so the old key opens nothing from the commit on, in every process. Accounts and addresses stay as they are.
"""

from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from strongroom.atto.protocol import AccountKeys, Mnemonic
from strongroom.atto.records import WalletRecord
from strongroom.atto.wallets.attempts import KeyAttempts
from strongroom.atto.wallets.holdings import first_accounts, held_row, require_own_accounts
from strongroom.atto.wallets.keyring import Keyring
from strongroom.atto.wallets.rows import load_locked, parse_key, store_sealed
from strongroom.core.errors import Conflict, InvalidInput, VaultError
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.bindings import Bindings
from strongroom.core.security.keys.source import is_guessable
from strongroom.core.security.trail.lanes import exclude_signatures
from strongroom.core.security.vault import Vault
from strongroom.core.storage.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What shows that the wallet's key may be changed. Without any, the wallet must be unlocked, which is for operators alone."""

    encryption_key: str | None = field(default=None, repr=False)
    """The wallet's key as it is."""
    mnemonic: Mnemonic | None = field(default=None, repr=False)


class OwnKeys:
    """Changes the keys of wallets."""

    def __init__(
        self,
        *,
        database: Database,
        vault: Vault,
        bindings: Bindings,
        keyring: Keyring,
        audit: Audit,
        attempts: KeyAttempts,
    ) -> None:
        self._database = database
        self._vault = vault
        self._bindings = bindings
        self._keyring = keyring
        self._audit = audit
        self._attempts = attempts

    async def change(self, principal: Principal, name: str, proof: Proof, new_key: str) -> None:
        """Seals the wallet under the new key, 64 hex digits. A locked wallet stays locked.

        Raises:
            NotFound, RateLimited, VaultError
            InvalidInput: the proof is wrong, or the new key is none, is the old one, or can be guessed.
            Locked: nothing is shown, and the wallet is locked.
            Conflict: the wallet was changed meanwhile, or its first account does not come from its mnemonic.
        """
        key = parse_key(new_key, "newEncryptionKey")
        if is_guessable(key):
            raise InvalidInput("newEncryptionKey is easy to guess", code="invalid_encryption_key")
        shown: bytes | None = None
        if proof.encryption_key is not None:
            shown = (await self._attempts.open(principal, name, proof.encryption_key)).key
            if shown == key:
                raise InvalidInput(
                    "newEncryptionKey is the wallet's key already", code="invalid_encryption_key"
                )

        def work(connection: Connection) -> WalletRecord:
            wallet = load_locked(connection, name)
            self._keyring.require_unaltered(connection, wallet)
            mnemonic = self._proven(connection, wallet, proof, shown)
            require_own_accounts(connection, name, AccountKeys(mnemonic.seed()))
            changed = replace(
                wallet,
                sealed_entropy=self._vault.seal_under(key, mnemonic.entropy),
                sealed_key=None if wallet.sealed_key is None else self._vault.seal(key),
            )
            store_sealed(connection, changed)
            exclude_signatures(connection)
            sequence = self._audit.append(connection, principal, "wallet.rekey", name)
            self._bindings.bind(connection, [held_row(changed)], sequence)
            self._attempts.key_changed(connection, principal, name)
            return wallet

        self._keyring.forget(await self._database.write(work))

    def _proven(
        self, connection: Connection, wallet: WalletRecord, proof: Proof, shown: bytes | None
    ) -> Mnemonic:
        """The wallet's mnemonic, if the proof holds for the row as it is locked now."""
        if shown is not None:
            try:
                return self._keyring.mnemonic(wallet, shown)
            except VaultError:
                raise Conflict(f"Wallet {wallet.name} was changed meanwhile", code="wallet_changed") from None
        if proof.mnemonic is None:
            return self._keyring.unlocked(wallet)
        if wallet.sealed_key is not None:
            is_its = self._keyring.unlocked(wallet) == proof.mnemonic
        else:
            first = first_accounts(connection, wallet.name).get(wallet.name)
            if first is None:
                raise InvalidInput(
                    f"Wallet {wallet.name} is locked and has no account, so nothing shows whose mnemonic this is;"
                    " give its key",
                    code="mnemonic_unproven",
                )
            is_its = first.are_of(AccountKeys(proof.mnemonic.seed()))
        if not is_its:
            raise InvalidInput(f"This is not the mnemonic of {wallet.name}", code="invalid_mnemonic")
        return proof.mnemonic
