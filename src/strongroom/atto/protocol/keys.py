"""Derives keys from a seed (SLIP-0010, all levels hardened) and makes and checks Ed25519 signatures.

https://github.com/satoshilabs/slips/blob/master/slip-0010.md

OpenSSL signs, because it overwrites the private key in its memory after use. libsodium's binding leaves a copy of it where no seal
reaches it.
"""

import hashlib
import hmac
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.exceptions import CryptoError
from nacl.signing import VerifyKey

from strongroom.atto.protocol.errors import InvalidKey, InvalidSignature
from strongroom.atto.protocol.networks import MAX_KEY_INDEX

PRIVATE_KEY_SIZE: Final = 32
SEED_SIZE: Final = 64
_PURPOSE: Final = 44
_COIN_TYPE: Final = int.from_bytes(b"atto", "little")
_HARDENED: Final = 0x8000_0000


def _child(key: bytes, chain_code: bytes, index: int) -> tuple[bytes, bytes]:
    data = b"\x00" + key + (index | _HARDENED).to_bytes(4, "big")
    digest = hmac.digest(chain_code, data, hashlib.sha512)
    return digest[:32], digest[32:]


class AccountKeys:
    """The keys `m/44'/1869902945'/index'` of one seed. The repr hides them.

    The constructor derives the two fixed levels, so that each further index costs a single HMAC.
    """

    __slots__ = ("_chain_code", "_key")

    def __init__(self, seed: bytes) -> None:
        """Takes a seed of 64 bytes.

        Raises:
            InvalidKey: the seed has the wrong size.
        """
        if len(seed) != SEED_SIZE:
            raise InvalidKey(f"Seed must have {SEED_SIZE} bytes")
        master = hmac.digest(b"ed25519 seed", seed, hashlib.sha512)
        self._key, self._chain_code = _child(*_child(master[:32], master[32:], _PURPOSE), _COIN_TYPE)

    def private_key(self, index: int) -> bytes:
        """32 bytes, the secret seed of RFC 8032.

        Raises:
            InvalidKey: `index` is not between 0 and 2^31 - 1.
        """
        if not 0 <= index <= MAX_KEY_INDEX:
            raise InvalidKey(f"Key index must be between 0 and {MAX_KEY_INDEX}")
        return _child(self._key, self._chain_code, index)[0]

    def public_key(self, index: int) -> bytes:
        """32 bytes; raises like `private_key`."""
        return public_key_of(self.private_key(index))

    def __repr__(self) -> str:
        return "AccountKeys(hidden)"


def derive_private_key(seed: bytes, index: int) -> bytes:
    """The private key of one index; for several, keep an `AccountKeys`."""
    return AccountKeys(seed).private_key(index)


def public_key_of(private_key: bytes) -> bytes:
    """The Ed25519 public key, 32 bytes.

    Raises:
        InvalidKey: the private key has the wrong size.
    """
    return _signing_key(private_key).public_key().public_bytes_raw()


def sign(private_key: bytes, message: bytes) -> bytes:
    """The deterministic Ed25519 signature, 64 bytes. The message of a block is its hash.

    Raises:
        InvalidKey: the private key has the wrong size.
    """
    return _signing_key(private_key).sign(message)


def verify(public_key: bytes, message: bytes, signature: bytes) -> None:
    """Returns when `signature` is valid.

    Raises:
        InvalidSignature: it is not valid, or the key or the signature has the wrong size.
    """
    try:
        VerifyKey(public_key).verify(message, signature)
    except CryptoError:
        raise InvalidSignature("Signature is invalid") from None


def _signing_key(private_key: bytes) -> Ed25519PrivateKey:
    if len(private_key) != PRIVATE_KEY_SIZE:
        raise InvalidKey(f"Private key must have {PRIVATE_KEY_SIZE} bytes")
    return Ed25519PrivateKey.from_private_bytes(private_key)
