"""Seals and opens secrets with ChaCha20-Poly1305 (RFC 8439).

A sealed blob is nonce (12) || ciphertext || tag (16), without associated data. The layout is that of the wallet server whose
database the service adopts. `Vault` seals under the key-encryption key; `seal` and `open_sealed` take any key.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from strongroom.core.clock import Entropy
from strongroom.core.errors import VaultError

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16


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


class Vault:
    """Seals and opens under the key-encryption key."""

    def __init__(self, key: KeyEncryptionKey, entropy: Entropy) -> None:
        self._key = key
        self._entropy = entropy

    def new_key(self) -> bytes:
        return self._entropy.token(KEY_BYTES)

    def seal(self, plaintext: bytes) -> bytes:
        return self.seal_under(self._key.reveal(), plaintext)

    def open(self, blob: bytes) -> bytes:
        return open_sealed(self._key.reveal(), blob)

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
