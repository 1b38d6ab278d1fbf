"""Seals and opens secrets with ChaCha20-Poly1305 (RFC 8439).

A sealed blob is nonce (12) || ciphertext || tag (16), without associated data. The layout is that of the wallet server whose
database the service adopts. `Vault` seals under the current key-encryption key; `seal` and `open_sealed` take any key.
"""

import hmac
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from strongroom.core.clock import Entropy
from strongroom.core.errors import VaultError

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16


KEY_CHECK_PURPOSE = b"strongroom binding v1"
KEY_CHECK = b"key check"


class KeyEncryptionKey:
    """The 32 bytes that seal the keys of wallets. The repr hides them."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise VaultError(f"a key-encryption key has {KEY_BYTES} bytes, not {len(key)}")
        self._key = key

    def __repr__(self) -> str:
        return "KeyEncryptionKey(hidden)"

    def reveal(self) -> bytes:
        return self._key

    def derive(self, purpose: bytes) -> bytes:
        """A key of 32 bytes for one purpose (HKDF-SHA256, RFC 5869). It reveals nothing about this key."""
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(self._key)

    def check(self) -> bytes:
        """A value that depends only on the key; the database stores it to recognise the key."""
        return hmac.digest(self.derive(KEY_CHECK_PURPOSE), KEY_CHECK, "sha256")


class Keys(Protocol):
    """The key-encryption keys of a ledger (`core.security.keys.ring`)."""

    @property
    def is_open(self) -> bool:
        """Whether the keys are in memory."""

    @property
    def current(self) -> KeyEncryptionKey:
        """The key under which new values are sealed. Raises: Sealed: the keys are not in memory."""

    def unseal(self, blob: bytes) -> bytes:
        """The plaintext of a value that any of the keys sealed. Raises: Sealed; VaultError: none opens it."""


class Vault:
    """Seals under the current key-encryption key, and opens what any key of the ledger sealed."""

    def __init__(self, keys: Keys, entropy: Entropy) -> None:
        self._keys = keys
        self._entropy = entropy

    @property
    def is_open(self) -> bool:
        """False while the service is sealed."""
        return self._keys.is_open

    def require_open(self) -> None:
        """Raises: Sealed: the keys are not in memory."""
        _ = self._keys.current

    def new_key(self) -> bytes:
        return self._entropy.token(KEY_BYTES)

    def seal(self, plaintext: bytes) -> bytes:
        return self.seal_under(self._keys.current.reveal(), plaintext)

    def open(self, blob: bytes) -> bytes:
        return self._keys.unseal(blob)

    def seal_under(self, key: bytes, plaintext: bytes) -> bytes:
        return seal(key, plaintext, self._entropy.token(NONCE_BYTES))


def seal(key: bytes, plaintext: bytes, nonce: bytes) -> bytes:
    """Returns nonce || ciphertext || tag. A nonce must never be used twice with the same key."""
    return nonce + ChaCha20Poly1305(key).encrypt(nonce, plaintext, None)


def open_sealed(key: bytes, blob: bytes) -> bytes:
    """Returns the plaintext.

    Raises:
        VaultError: the key is wrong, or the blob was altered.
    """
    if len(key) != KEY_BYTES or len(blob) < NONCE_BYTES + TAG_BYTES:
        raise VaultError("the sealed value cannot be opened with this key")
    try:
        return ChaCha20Poly1305(key).decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], None)
    except InvalidTag:
        raise VaultError("the sealed value cannot be opened with this key") from None
