"""Opens a wallet with its own key, and slows down who tries wrong ones (`core.coordination.guesses`)."""

from dataclasses import dataclass, field
from typing import Final

import structlog
from sqlalchemy import Connection

from strongroom.atto.protocol import Mnemonic
from strongroom.atto.records import WalletRecord
from strongroom.atto.wallets.keyring import Keyring
from strongroom.atto.wallets.rows import load_locked
from strongroom.core.coordination.guesses import Burst, Guesses
from strongroom.core.errors import InvalidInput, VaultError
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.storage.database import Database

log = structlog.get_logger(__name__)

GUESSED: Final = "wallet.guess"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedWallet:
    """A wallet whose own key somebody has shown."""

    wallet: WalletRecord
    key: bytes = field(repr=False)
    mnemonic: Mnemonic = field(repr=False)


class KeyAttempts:
    """The attempts to open wallets with their own keys."""

    def __init__(self, database: Database, keyring: Keyring, guesses: Guesses, audit: Audit) -> None:
        self._database = database
        self._keyring = keyring
        self._guesses = guesses
        self._audit = audit

    async def open(self, principal: Principal, name: str, encryption_key: str) -> OpenedWallet:
        """Opens the wallet with its own key. A wrong key is counted before the caller learns that it is wrong.

        Raises:
            NotFound
            RateLimited: the caller must wait; the key was not looked at.
            InvalidInput: this is not the wallet's key.
            VaultError: the wallet's row was altered.
        """
        try:
            key = bytes.fromhex(encryption_key)
        except ValueError:
            key = b""

        def work(connection: Connection) -> OpenedWallet | list[Burst]:
            wallet = load_locked(connection, name)
            self._guesses.require_turn(connection, name, caller_of(principal))
            try:
                mnemonic = self._keyring.mnemonic(wallet, key)
            except VaultError:
                return self._count(connection, principal, name)
            self._keyring.require_unaltered(connection, wallet)
            self._guesses.right(connection, name, caller_of(principal))
            return OpenedWallet(wallet=wallet, key=key, mnemonic=mnemonic)

        opened = await self._database.write(work)
        if isinstance(opened, OpenedWallet):
            return opened
        for burst in opened:
            log.warning("wrong keys for a wallet", wallet=name, by=burst.by, wrong=burst.wrong)
        raise InvalidInput(f"Invalid encryption key for {name}", code="invalid_encryption_key")

    def know(self, connection: Connection, principal: Principal, name: str) -> None:
        """Remembers who has given the wallet its key, so that guesses of others hold them off from nothing."""
        self._guesses.right(connection, name, caller_of(principal))

    def key_changed(self, connection: Connection, principal: Principal, name: str) -> None:
        self._guesses.changed(connection, name)
        self.know(connection, principal, name)

    def _count(self, connection: Connection, principal: Principal, name: str) -> list[Burst]:
        bursts = self._guesses.wrong(connection, name, caller_of(principal))
        for burst in bursts:
            details = {"by": burst.by, "wrong": burst.wrong, "source": principal.source}
            self._audit.append(connection, principal, GUESSED, name, details)
        return bursts


def caller_of(principal: Principal) -> str:
    """Whose guesses are counted together: those of one token, and without a token those from one address."""
    return principal.name if principal.token is not None else f"{principal.name}@{principal.source}"
