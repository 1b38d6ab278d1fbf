"""Addresses: base32 of algorithm, public key and a checksum of five bytes."""

import hashlib
import re
from base64 import b32encode
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

from strongroom.atto.protocol.errors import InvalidAddress
from strongroom.atto.protocol.fields import PUBLIC_KEY_SIZE
from strongroom.atto.protocol.networks import ALGORITHM_V1

SCHEME: Final = "atto://"
_CHECKSUM_SIZE: Final = 5
_SIZE: Final = 1 + PUBLIC_KEY_SIZE + _CHECKSUM_SIZE
_PATH: Final = re.compile(r"[a-z2-7]{61}", re.ASCII)
# int() reads base 32 with the digits 0-9a-v, much faster than base64.b32decode.
_TO_INT_DIGITS: Final = str.maketrans("abcdefghijklmnopqrstuvwxyz234567", "0123456789abcdefghijklmnopqrstuv")


def _serialise(public_key: bytes) -> bytes:
    body = bytes((ALGORITHM_V1,)) + public_key
    return body + hashlib.blake2b(body, digest_size=_CHECKSUM_SIZE).digest()


@lru_cache(maxsize=65_536)  # the service writes the same addresses again and again, and each costs 10 us
def _path(public_key: bytes) -> str:
    return b32encode(_serialise(public_key)).decode().rstrip("=").lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A public key; its text form has a checksum, so that a mistyped address is refused."""

    public_key: bytes

    def __post_init__(self) -> None:
        if len(self.public_key) != PUBLIC_KEY_SIZE:
            raise InvalidAddress(f"Public key must have {PUBLIC_KEY_SIZE} bytes")

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `atto://` and the path, or the bare path of 61 characters.

        Raises:
            InvalidAddress: the form, the algorithm or the checksum is wrong, or the padding bit is set. With the bit set,
                one key would have two spellings.
        """
        path = text.removeprefix(SCHEME)
        if not _PATH.fullmatch(path):
            raise InvalidAddress("An address has 61 characters of a-z and 2-7, with or without atto://")
        # 61 characters hold 305 bits, the address has 304: the lowest bit is padding.
        value, padding = divmod(int(path.translate(_TO_INT_DIGITS), 32), 2)
        data = value.to_bytes(_SIZE, "big")
        public_key = data[1:-_CHECKSUM_SIZE]
        if padding or data != _serialise(public_key):
            raise InvalidAddress("The checksum of the address is wrong")
        return cls(public_key=public_key)

    @property
    def path(self) -> str:
        """61 characters, the form of the wallet API."""
        return _path(self.public_key)

    @property
    def uri(self) -> str:
        """The path with its scheme, the form of the node API and for people."""
        return SCHEME + self.path

    def __str__(self) -> str:
        return self.path
