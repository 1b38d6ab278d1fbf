"""Opens wallets: key-encryption key -> wallet key -> entropy -> seed -> account keys.

Deriving a seed costs 2 ms by design (PBKDF2), more than everything else in a send. An opened wallet therefore
stays in memory until it was unused for `cache_s`. A lock takes effect at once, on every replica: callers read the
wallet's row in the transaction that signs, and the cache is entered with the row's own sealed key.
"""

from strongroom.atto.protocol import AccountKeys, Mnemonic
from strongroom.atto.records import WalletRecord
from strongroom.core.clock import Clock
from strongroom.core.errors import Locked, VaultError
from strongroom.core.vault import Vault, open_sealed

MOST_WALLETS = 256


class Keyring:
    """The only place that holds keys in the clear."""

    def __init__(self, vault: Vault, clock: Clock, cache_s: int) -> None:
        self._vault = vault
        self._clock = clock
        self._cache_s = cache_s
        self._opened: dict[tuple[bytes, bytes], tuple[AccountKeys, float]] = {}

    def keys(self, wallet: WalletRecord) -> AccountKeys:
        """The account keys of an unlocked wallet.

        Raises:
            Locked: the wallet is locked.
            VaultError: the key-encryption key is not the one that sealed it.
        """
        if wallet.sealed_key is None:
            raise Locked(f"Wallet {wallet.name} is locked", code="wallet_locked")
        now_s = self._clock.monotonic_s()
        self._drop_unused(now_s)
        place = (wallet.sealed_entropy, wallet.sealed_key)
        found = self._opened.pop(
            place, None
        )  # put back below, behind the others: the first is the longest unused
        keys = found[0] if found else AccountKeys(self.mnemonic(wallet, self._wallet_key(wallet)).seed())
        if self._cache_s:
            self._opened[place] = (keys, now_s)
        return keys

    def mnemonic(self, wallet: WalletRecord, wallet_key: bytes) -> Mnemonic:
        """Opens the entropy with the wallet's own key.

        Raises:
            VaultError: it is not the wallet's key.
        """
        return Mnemonic.from_entropy(open_sealed(wallet_key, wallet.sealed_entropy))

    def forget(self, wallet: WalletRecord) -> None:
        for place in [place for place in self._opened if place[0] == wallet.sealed_entropy]:
            self._opened.pop(place, None)

    def _wallet_key(self, wallet: WalletRecord) -> bytes:
        try:
            return self._vault.open(wallet.sealed_key or b"")
        except VaultError:
            raise VaultError(
                f"Wallet {wallet.name} was sealed under another key-encryption key than the configured one"
            ) from None

    def _drop_unused(self, now_s: float) -> None:
        while self._opened:
            place, (_, used_s) = next(iter(self._opened.items()))
            if used_s + self._cache_s > now_s and len(self._opened) <= MOST_WALLETS:
                return
            self._opened.pop(place, None)
