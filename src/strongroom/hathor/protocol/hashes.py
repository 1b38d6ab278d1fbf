"""The digests and the text encoding that Hathor shares with Bitcoin."""

import hashlib

from strongroom.hathor.protocol.errors import ProtocolError

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
MAX_TEXT = 256
"""An extended key has 111 letters; decoding takes a time that grows with the square of them."""
CHECKSUM_SIZE = 4
_DIGITS = {letter: value for value, letter in enumerate(ALPHABET)}


def sha256d(data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def hash160(data: bytes) -> bytes:
    """RIPEMD-160 of SHA-256, 20 bytes."""
    return hashlib.new("ripemd160", hashlib.sha256(data).digest()).digest()


def base58check_encode(payload: bytes) -> str:
    data = payload + sha256d(payload)[:CHECKSUM_SIZE]
    number = int.from_bytes(data)
    letters: list[str] = []
    while number:
        number, digit = divmod(number, 58)
        letters.append(ALPHABET[digit])
    zeros = len(data) - len(data.lstrip(b"\0"))
    return ALPHABET[0] * zeros + "".join(reversed(letters))


def base58check_decode(text: str) -> bytes:
    """The payload without its checksum.

    Raises:
        ProtocolError: a letter is not of the alphabet, or the checksum is wrong.
    """
    if len(text) > MAX_TEXT:
        raise ProtocolError("Invalid checksum")
    number = 0
    for letter in text:
        digit = _DIGITS.get(letter)
        if digit is None:
            raise ProtocolError(f"{letter!r} is not a base58 letter")
        number = number * 58 + digit
    zeros = len(text) - len(text.lstrip(ALPHABET[0]))
    data = bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8)
    payload, checksum = data[:-CHECKSUM_SIZE], data[-CHECKSUM_SIZE:]
    if len(data) < CHECKSUM_SIZE or sha256d(payload)[:CHECKSUM_SIZE] != checksum:
        raise ProtocolError("Invalid checksum")
    return payload
