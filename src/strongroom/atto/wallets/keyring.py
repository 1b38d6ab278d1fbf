"""Opens wallets: key-encryption key -> wallet key -> entropy -> seed -> account keys.

Deriving a seed costs 2 ms by design (PBKDF2), more than all the rest of a send. So the keyring keeps an opened wallet in
memory until nobody has used it for `cache_s`. Locking a wallet still takes effect at once on every replica: callers read the
wallet's row in the transaction that signs, and the sealed key in that row is part of the cache's key. In the same transaction
the keyring checks that the row is as the service wrote it (`core.security.bindings`), for cached wallets too.
"""

from collections.abc import Callable

from sqlalchemy import Connection

from strongroom.atto.protocol import AccountKeys, Mnemonic
from strongroom.atto.records import WalletRecord
from strongroom.atto.wallets.holdings import held_row, require_own_accounts
from strongroom.core.clock import Clock
from strongroom.core.errors import Locked, VaultError
from strongroom.core.security.bindings import Bindings
from strongroom.core.security.vault import Vault, open_sealed

MAX_WALLETS = 256


class Keyring:
    """Opens wallets and caches their account keys. No other code keeps keys in the clear."""

    def __init__(
        self,
        *,
        vault: Vault,
        bindings: Bindings,
        clock: Clock,
        cache_s: int,
        refused: Callable[[str, str], None],
    ) -> None:
        """`refused` is called, from any thread, with the name of a wallet that must not be used and the reason."""
        self._vault = vault
        self._bindings = bindings
        self._clock = clock
        self._cache_s = cache_s
        self._refused = refused
        self._opened: dict[tuple[str, bytes, bytes], tuple[AccountKeys, float]] = {}

    def keys(self, connection: Connection, wallet: WalletRecord) -> AccountKeys:
        """The account keys of an unlocked wallet. The caller read its row in the same transaction.

        Raises:
            Locked: the wallet is locked.
            VaultError: another key-encryption key sealed the wallet, or its row was altered.
            Conflict: the wallet's first account does not come from its mnemonic.
        """
        sealed_key = sealed_key_of(wallet)
        self.require_unaltered(connection, wallet)
        now_s = self._clock.monotonic_s()
        self._drop_unused(now_s)
        cache_key = (wallet.name, wallet.sealed_entropy, sealed_key)
        # Removed here and inserted again below, so that the dictionary's order is the order of last use.
        found = self._opened.pop(cache_key, None)
        keys = found[0] if found else self._open(connection, wallet)
        if self._cache_s:
            self._opened[cache_key] = (keys, now_s)
            if not self._vault.is_open:  # it was sealed meanwhile
                self.forget_all()
        return keys

    def require_unaltered(self, connection: Connection, wallet: WalletRecord) -> None:
        """Checks the binding of the wallet's row.

        Raises:
            VaultError: the row is not as the service wrote it.
        """
        try:
            self._bindings.require(connection, held_row(wallet))
        except VaultError as error:
            self._refused(wallet.name, error.message.removeprefix(f"Wallet {wallet.name} "))
            raise

    def mnemonic(self, wallet: WalletRecord, wallet_key: bytes) -> Mnemonic:
        """Opens the entropy with the wallet's own key.

        Raises:
            VaultError: this is not the wallet's key.
        """
        return Mnemonic.from_entropy(open_sealed(wallet_key, wallet.sealed_entropy))

    def unlocked(self, wallet: WalletRecord) -> Mnemonic:
        """The mnemonic of an unlocked wallet, whose row the caller has checked.

        Raises:
            Locked: the wallet is locked.
            VaultError: another key-encryption key sealed it.
        """
        return self.mnemonic(wallet, self._wallet_key(wallet))

    def forget_all(self) -> None:
        """Removes all keys from memory, because the service is sealed."""
        self._opened.clear()

    def forget(self, wallet: WalletRecord) -> None:
        """Removes the wallet's keys from memory."""
        for cache_key in [one for one in self._opened if one[1] == wallet.sealed_entropy]:
            self._opened.pop(cache_key, None)

    def _open(self, connection: Connection, wallet: WalletRecord) -> AccountKeys:
        keys = AccountKeys(self.mnemonic(wallet, self._wallet_key(wallet)).seed())
        require_own_accounts(connection, wallet.name, keys)
        return keys

    def _wallet_key(self, wallet: WalletRecord) -> bytes:
        try:
            return self._vault.open(sealed_key_of(wallet))
        except VaultError:
            self._refused(wallet.name, "does not open with this key-encryption key")
            raise VaultError(
                f"Wallet {wallet.name} was sealed under another key-encryption key than the configured one"
            ) from None

    def _drop_unused(self, now_s: float) -> None:
        while self._opened:
            longest_unused, (_, used_s) = next(iter(self._opened.items()))
            if used_s + self._cache_s > now_s and len(self._opened) <= MAX_WALLETS:
                return
            self._opened.pop(longest_unused, None)


def sealed_key_of(wallet: WalletRecord) -> bytes:
    """Raises: Locked."""
    if wallet.sealed_key is None:
        raise Locked(f"Wallet {wallet.name} is locked", code="wallet_locked")
    return wallet.sealed_key
