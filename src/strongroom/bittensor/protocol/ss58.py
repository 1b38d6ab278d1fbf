"""Encodes and decodes SS58 addresses: base58 of a prefix, the public key and the start of a BLAKE2b checksum.

https://docs.polkadot.com/reference/parachains/accounts/. Bittensor uses the generic prefix 42, which is one byte.
"""

import hashlib
from typing import Final

from strongroom.bittensor.protocol.errors import ProtocolError

PREFIX: Final = 42
KEY_BYTES: Final = 32
_CHECKSUM_BYTES: Final = 2
_SIZE: Final = 1 + KEY_BYTES + _CHECKSUM_BYTES
_MAX_LENGTH: Final = 48
_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_DIGITS: Final = {letter: digit for digit, letter in enumerate(_ALPHABET)}
_BASE: Final = len(_ALPHABET)


def encode_address(public_key: bytes) -> str:
    """Returns the address of a public key.

    Raises:
        ProtocolError: the key does not have 32 bytes.
    """
    if len(public_key) != KEY_BYTES:
        raise ProtocolError(f"A public key has {KEY_BYTES} bytes, not {len(public_key)}")
    body = bytes([PREFIX]) + public_key
    # The first byte is 42, so base58's rule for leading zeros never applies.
    number = int.from_bytes(body + _checksum(body), "big")
    letters: list[str] = []
    while number:
        number, digit = divmod(number, _BASE)
        letters.append(_ALPHABET[digit])
    return "".join(reversed(letters))


def decode_address(address: str) -> bytes:
    """Returns the public key (32 bytes) of an address with prefix 42.

    Raises:
        ProtocolError: a letter is not of base58, or the size, the prefix or the checksum is wrong.
    """
    if not address or len(address) > _MAX_LENGTH:
        raise ProtocolError("An address has 1 to 48 letters")
    number = 0
    for letter in address:
        digit = _DIGITS.get(letter)
        if digit is None:
            raise ProtocolError("An address has letters of base58 alone")
        number = number * _BASE + digit
    size = max(1, (number.bit_length() + 7) // 8)
    raw = number.to_bytes(size, "big")
    if address[0] == _ALPHABET[0] or size != _SIZE or raw[0] != PREFIX:
        raise ProtocolError(
            f"An address of this ledger has prefix {PREFIX} and {KEY_BYTES} bytes of public key"
        )
    body, checksum = raw[:-_CHECKSUM_BYTES], raw[-_CHECKSUM_BYTES:]
    if _checksum(body) != checksum:
        raise ProtocolError("The checksum of the address is wrong")
    return body[1:]


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(b"SS58PRE" + body).digest()[:_CHECKSUM_BYTES]
