"""The key-encryption keys of one ledger, by version, and the secrets that stay the same when a key is changed.

A key-encryption key is changed online, so for a while rows are sealed under two of them. New values are sealed under the current
key. The ring is the only place that holds the keys: everything derived from them is here too, so that closing it leaves none.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from strongroom.core.errors import Sealed, VaultError
from strongroom.core.security.keys.trail_key import SEALED
from strongroom.core.security.vault import KeyEncryptionKey, open_sealed

FIRST_VERSION: Final = 1
TRAIL: Final = b"trail"
CHECKPOINT: Final = b"checkpoint"
SECRETS: Final = (TRAIL, CHECKPOINT)
"""The purposes of all secrets that the database keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    """What an open ring holds. It is replaced as a whole, because other threads read it."""

    keys: Mapping[int, KeyEncryptionKey]
    current: int
    secrets: dict[bytes, bytes] = field(default_factory=dict, repr=False)
    derived: dict[tuple[int, bytes], bytes] = field(default_factory=dict, repr=False)


class KeyRing:
    """The keys of one ledger while it is not sealed. The repr hides them."""

    def __init__(self) -> None:
        """It is closed until `open`."""
        self._open: _Open | None = None
        self._when_closed: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        opened = self._open
        return "KeyRing(closed)" if opened is None else f"KeyRing(versions {sorted(opened.keys)})"

    def open(self, keys: Mapping[int, KeyEncryptionKey], current: int) -> None:
        """Takes the keys, also when it is open with others; the secrets stay."""
        if current not in keys:
            raise ValueError(f"the current version {current} is not among {sorted(keys)}")
        secrets = {} if self._open is None else self._open.secrets
        self._open = _Open(keys=dict(keys), current=current, secrets=secrets)

    def close(self) -> None:
        """Drops the keys, the secrets and all that was derived, here and where others hold what they opened with them."""
        self._open = None
        for tell in self._when_closed:
            tell()

    def when_closed(self, tell: Callable[[], None]) -> None:
        """Calls `tell` each time that the ring was closed."""
        self._when_closed.append(tell)

    @property
    def is_open(self) -> bool:
        return self._open is not None

    def require_open(self) -> None:
        """Raises: Sealed: the keys are not in memory."""
        self._opened()

    @property
    def versions(self) -> frozenset[int]:
        """The versions whose keys are here; none while it is closed."""
        return frozenset() if self._open is None else frozenset(self._open.keys)

    @property
    def version(self) -> int:
        """The version under which new values are sealed. Raises: Sealed."""
        return self._opened().current

    @property
    def current(self) -> KeyEncryptionKey:
        """The key under which new values are sealed. Raises: Sealed."""
        opened = self._opened()
        return opened.keys[opened.current]

    def key(self, version: int) -> KeyEncryptionKey:
        """The key of one version.

        Raises:
            Sealed: the ring is closed.
            VaultError: the key of this version is not here.
        """
        found = self._opened().keys.get(version)
        if found is None:
            raise VaultError(f"version {version} of the key-encryption key is not here", code="key_missing")
        return found

    def derive(self, version: int, purpose: bytes) -> bytes:
        """A key of 32 bytes for one purpose, derived from the key of one version. Raises as `key`."""
        opened = self._opened()
        found = opened.derived.get((version, purpose))
        if found is None:
            found = opened.derived[version, purpose] = self.key(version).derive(purpose)
        return found

    def unseal(self, blob: bytes) -> bytes:
        """The plaintext of a value that any key of the ring sealed.

        Raises:
            Sealed: the ring is closed.
            VaultError: none of the keys opens it.
        """
        return self._opening(blob)[1]

    def version_of(self, blob: bytes) -> int | None:
        """The version of the key that opens the value; None: none does. Raises: Sealed."""
        try:
            return self._opening(blob)[0]
        except VaultError:
            return None

    def secret(self, purpose: bytes) -> bytes:
        """A secret of 32 bytes that stays the same when the key is changed; `SECRETS` has the purposes.

        Raises:
            Sealed: the ring is closed.
        """
        found = self._opened().secrets.get(purpose)
        if found is None:
            raise VaultError(f"the secret {purpose.decode()} was not read")
        return found

    def has_secret(self, purpose: bytes) -> bool:
        """Whether the database keeps this secret already. Raises: Sealed."""
        return purpose in self._opened().secrets

    def keep(self, secrets: Mapping[bytes, bytes]) -> None:
        """Takes the secrets that the database keeps sealed. Raises: Sealed."""
        self._opened().secrets.update(secrets)

    def _opening(self, blob: bytes) -> tuple[int, bytes]:
        opened = self._opened()
        for version in sorted(opened.keys, key=lambda one: (one != opened.current, -one)):
            try:
                return version, open_sealed(opened.keys[version].reveal(), blob)
            except VaultError:
                continue
        raise VaultError("the sealed value cannot be opened with this key")

    def _opened(self) -> _Open:
        if self._open is None:
            raise Sealed(SEALED)
        return self._open


def ring_of(key: KeyEncryptionKey, version: int = FIRST_VERSION) -> KeyRing:
    """An open ring with one key."""
    ring = KeyRing()
    ring.open({version: key}, version)
    return ring
