"""Opens wallets: key-encryption key -> wallet key -> entropy -> seed -> account keys.

Deriving a seed costs 2 ms by design (PBKDF2), more than everything else in a send. An opened wallet therefore
stays in memory until it was unused for `cache_s`. A lock takes effect at once, on every replica: callers read the
wallet's row in the transaction that signs, and the cache is entered with the row's own sealed key. In the same transaction
the row must prove to be as the service left it (`core.security.bindings`), opened already or not.
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
    """The only place that holds keys in the clear."""

    def __init__(
        self,
        *,
        vault: Vault,
        bindings: Bindings,
        clock: Clock,
        cache_s: int,
        refused: Callable[[str, str], None],
    ) -> None:
        """`refused` is told of a wallet that must not be used, and why; from any thread."""
        self._vault = vault
        self._bindings = bindings
        self._clock = clock
        self._cache_s = cache_s
        self._refused = refused
        self._opened: dict[tuple[str, bytes, bytes], tuple[AccountKeys, float]] = {}

    def keys(self, connection: Connection, wallet: WalletRecord) -> AccountKeys:
        """The account keys of an unlocked wallet, whose row was read in the same transaction.

        Raises:
            Locked: the wallet is locked.
            VaultError: the key-encryption key is not the one that sealed it, or the row was altered.
            Conflict: its first account is of another mnemonic.
        """
        if wallet.sealed_key is None:
            raise Locked(f"Wallet {wallet.name} is locked", code="wallet_locked")
        self.require_unaltered(connection, wallet)
        now_s = self._clock.monotonic_s()
        self._drop_unused(now_s)
        place = (wallet.name, wallet.sealed_entropy, wallet.sealed_key)
        found = self._opened.pop(
            place, None
        )  # put back below, behind the others: the first is the longest unused
        keys = found[0] if found else self._open(connection, wallet)
        if self._cache_s:
            self._opened[place] = (keys, now_s)
        return keys

    def require_unaltered(self, connection: Connection, wallet: WalletRecord) -> None:
        """Raises: VaultError: the wallet's row is not as the service left it."""
        try:
            self._bindings.require(connection, held_row(wallet))
        except VaultError as error:
            self._refused(wallet.name, error.message.removeprefix(f"Wallet {wallet.name} "))
            raise

    def mnemonic(self, wallet: WalletRecord, wallet_key: bytes) -> Mnemonic:
        """Opens the entropy with the wallet's own key.

        Raises:
            VaultError: it is not the wallet's key.
        """
        return Mnemonic.from_entropy(open_sealed(wallet_key, wallet.sealed_entropy))

    def forget(self, wallet: WalletRecord) -> None:
        for place in [place for place in self._opened if place[1] == wallet.sealed_entropy]:
            self._opened.pop(place, None)

    def _open(self, connection: Connection, wallet: WalletRecord) -> AccountKeys:
        keys = AccountKeys(self.mnemonic(wallet, self._wallet_key(wallet)).seed())
        require_own_accounts(connection, wallet.name, keys)
        return keys

    def _wallet_key(self, wallet: WalletRecord) -> bytes:
        try:
            return self._vault.open(wallet.sealed_key or b"")
        except VaultError:
            self._refused(wallet.name, "does not open with this key-encryption key")
            raise VaultError(
                f"Wallet {wallet.name} was sealed under another key-encryption key than the configured one"
            ) from None

    def _drop_unused(self, now_s: float) -> None:
        while self._opened:
            place, (_, used_s) = next(iter(self._opened.items()))
            if used_s + self._cache_s > now_s and len(self._opened) <= MAX_WALLETS:
                return
            self._opened.pop(place, None)
