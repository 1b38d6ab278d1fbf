"""Key pairs: sr25519 signs and verifies, ed25519 only verifies.

https://github.com/w3f/schnorrkel with the signing context "substrate". A secret key is 64 bytes: the scalar in
canonical form and the nonce, as key files have it in `privateKey`.
"""

import enum
import hashlib
import re
from typing import Final, Self

import sr25519
from mnemonic import Mnemonic as Bip39
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from strongroom.bittensor.protocol.errors import ProtocolError
from strongroom.bittensor.protocol.ss58 import encode_address

SEED_BYTES: Final = 32
SECRET_BYTES: Final = 64
SIGNATURE_BYTES: Final = 64
DEV_PHRASE: Final = "bottom drive obey lake curtain smoke basket hold race lonely fit walk"
_SEED_ROUNDS: Final = 2048
_SHORT_JUNCTION: Final = 32
_JUNCTION: Final = re.compile(r"(//?)([^/]+)")
_URI: Final = re.compile(r"(?P<secret>[^/]*)(?P<path>(//?[^/]+)*)")


class CryptoType(enum.IntEnum):
    ED25519 = 0
    SR25519 = 1


class Keypair:
    """An sr25519 key that can sign. The repr hides the secret."""

    __slots__ = ("_secret", "address", "public_key")

    def __init__(self, secret: bytes) -> None:
        """Makes the pair of a secret key (64 bytes).

        Raises:
            ProtocolError: the bytes are not a secret key.
        """
        try:
            self.public_key: bytes = sr25519.public_from_secret_key(secret)
        except ValueError:
            raise ProtocolError("The private key is not one of sr25519") from None
        self._secret = secret
        self.address = encode_address(self.public_key)

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """Makes the pair of a seed (32 bytes)."""
        if len(seed) != SEED_BYTES:
            raise ProtocolError(f"A seed has {SEED_BYTES} bytes, not {len(seed)}")
        return cls(sr25519.pair_from_seed(seed)[1])

    @classmethod
    def from_mnemonic(cls, phrase: str, password: str = "") -> Self:
        """Makes the pair of a BIP-39 phrase of 12, 15, 18, 21 or 24 English words."""
        return cls.from_seed(mnemonic_seed(phrase, password))

    @classmethod
    def from_uri(cls, uri: str) -> Self:
        """Makes the pair of a URI `secret//hard/soft`. The secret is a phrase or a seed in hex; without one, the development phrase.

        A soft junction gives the same key every time, with a different nonce.
        """
        found = _URI.fullmatch(uri)
        if found is None:
            raise ProtocolError("A key URI looks like phrase//hard/soft")
        secret = found["secret"] or DEV_PHRASE
        is_seed = secret.startswith("0x")
        pair = cls.from_seed(_hex(secret)) if is_seed else cls.from_mnemonic(secret)
        for slashes, junction in _JUNCTION.findall(found["path"]):
            pair = pair.derive(junction, hard=slashes == "//")
        return pair

    def derive(self, junction: str, *, hard: bool) -> Self:
        chain_code = _chain_code(junction)
        derive = sr25519.hard_derive_keypair if hard else sr25519.derive_keypair
        _, _, secret = derive((chain_code, self.public_key, self._secret), b"")
        return type(self)(secret)

    def sign(self, message: bytes) -> bytes:
        """Returns a signature (64 bytes), which differs each time."""
        signature: bytes = sr25519.sign((self.public_key, self._secret), message)
        return signature

    def secret(self) -> bytes:
        """Returns the secret key (64 bytes), which the caller seals."""
        return self._secret

    def __repr__(self) -> str:
        return f"Keypair({self.address}, hidden)"


def mnemonic_seed(phrase: str, password: str = "") -> bytes:
    """Returns the seed (32 bytes) of a phrase. Substrate derives it from the entropy, unlike BIP-39.

    Raises:
        ProtocolError: the number of words, a word or the checksum is wrong; the message contains no word.
    """
    try:
        entropy = Bip39("english").to_entropy(" ".join(phrase.lower().split()))
    except (ValueError, LookupError):
        raise ProtocolError("The secret phrase is not one of BIP-39 in English") from None
    salt = b"mnemonic" + password.encode()
    return hashlib.pbkdf2_hmac("sha512", bytes(entropy), salt, _SEED_ROUNDS)[:SEED_BYTES]


def verify(
    public_key: bytes, message: bytes, signature: bytes, crypto_type: CryptoType = CryptoType.SR25519
) -> bool:
    """Returns whether the key signed the message. It is False also for a malformed signature or key."""
    if len(signature) != SIGNATURE_BYTES:
        return False
    try:
        if crypto_type is CryptoType.SR25519:
            return bool(sr25519.verify(signature, message, public_key))
        VerifyKey(public_key).verify(message, signature)
    except (ValueError, BadSignatureError):
        return False
    return True


def _chain_code(junction: str) -> bytes:
    """Encodes a junction: a number as u64, text with its compact length; what is longer than 32 bytes is hashed."""
    if junction.isascii() and junction.isdigit() and int(junction) < 2**64:
        code = int(junction).to_bytes(8, "little")
    else:
        text = junction.encode()
        code = _compact_length(len(text)) + text
    if len(code) > _SHORT_JUNCTION:
        return hashlib.blake2b(code, digest_size=_SHORT_JUNCTION).digest()
    return code.ljust(_SHORT_JUNCTION, b"\0")


def _compact_length(length: int) -> bytes:
    if length < 2**6:
        return bytes([length << 2])
    if length < 2**14:
        return (length << 2 | 1).to_bytes(2, "little")
    raise ProtocolError("A junction of a key URI is too long")


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raise ProtocolError("The seed is not hex") from None
