"""The rules of the toy chain: keys, addresses, transfers. Pure functions over immutable values, no I/O.

An address is an Ed25519 public key in hex. A transfer is JSON without spaces, its keys sorted; the signature of its SHA-256
goes with it. Each account numbers its transfers from 0, and the chain takes each number once.
"""

import hashlib
from typing import Self

import msgspec
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

MAX_AMOUNT = 2**53 - 1
_encoder = msgspec.json.Encoder(order="sorted")


class Key:
    """An account's private key. Never shown."""

    __slots__ = ("_key",)

    def __init__(self, seed: bytes) -> None:
        self._key = SigningKey(seed)

    @property
    def address(self) -> str:
        return bytes(self._key.verify_key).hex()

    def sign(self, digest: bytes) -> bytes:
        return self._key.sign(digest).signature


def is_address(text: str) -> bool:
    return len(text) == 64 and not set(text) - set("0123456789abcdef")


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    sender: str
    receiver: str
    amount: int
    number: int
    reference: str
    """Two payments that are alike in all else are two transfers: the same bytes are one transfer, also when signed again."""

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(_encoder.encode(self)).digest()

    @property
    def slot(self) -> bytes:
        """No other transfer may take this place on the chain."""
        return hashlib.sha256(f"{self.sender}/{self.number}".encode()).digest()


class SignedTransfer(msgspec.Struct, frozen=True, kw_only=True):
    transfer: Transfer
    signature: str

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """Raises: msgspec.DecodeError."""
        return msgspec.json.decode(payload, type=cls)

    @property
    def payload(self) -> bytes:
        """What is submitted."""
        return _encoder.encode(self)

    @property
    def id(self) -> bytes:
        """What the chain calls it. The signature is no part of it: one transfer has one id, however often it is signed."""
        return self.transfer.digest

    def is_signed(self) -> bool:
        key = VerifyKey(bytes.fromhex(self.transfer.sender))
        try:
            key.verify(self.transfer.digest, bytes.fromhex(self.signature))
        except (BadSignatureError, ValueError):
            return False
        return True
