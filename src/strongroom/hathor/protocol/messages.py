"""Signed messages: recoverable signatures over text, as Bitcoin wallets make them."""

import base64
import binascii
from collections.abc import Iterator

from coincurve import PrivateKey, PublicKey

from strongroom.hathor.protocol.errors import ProtocolError, SignatureError
from strongroom.hathor.protocol.hashes import base58check_decode, hash160, sha256d

PREFIX = b"\x17Hathor Signed Message:\n"
SIGNATURE_SIZE = 65
URL_SAFE = str.maketrans("-_", "+/")
NUMBER_SIZE = 32
MAX_MISSING = 4
"""Leading zeros that a signature may lack; more come once in 2^32 signatures."""
COMPRESSED_HEADER = 31
"""27 plus 4 for a compressed key; the recovery id (0 to 3) is added to it."""


def message_digest(message: str) -> bytes:
    data = message.encode()
    return sha256d(PREFIX + _varint(len(data)) + data)


def verify_message(message: str, signature: str, address: str) -> None:
    """Checks that the key behind `address` signed `message`; `signature` is base64 of 65 bytes, padded or not, of either alphabet.

    Fewer when one of its two numbers is small: the official wallets leave out leading zeros, in one of some hundred
    signatures. The version byte of the address does not count, its key hash does.

    Raises:
        SignatureError: the signature is malformed or of another key.
        ProtocolError: the address is malformed.
    """
    try:
        raw = _decode_base64(signature)
    except (binascii.Error, ValueError) as error:
        raise SignatureError("The signature is not base64") from error
    missing = SIGNATURE_SIZE - len(raw)
    if not 0 <= missing <= MAX_MISSING or not COMPRESSED_HEADER <= raw[0] < COMPRESSED_HEADER + 4:
        raise SignatureError("The signature is not 65 bytes for a compressed key")
    recovery, owner = raw[0] - COMPRESSED_HEADER, base58check_decode(address)[1:]
    digest = message_digest(message)
    keys = [_recover(numbers, recovery, digest) for numbers in _completed(raw[1:], missing)]
    if not any(keys):
        raise SignatureError("No key can have made the signature")
    if owner not in {hash160(key) for key in keys if key is not None}:
        raise SignatureError("The signature is of another key")


def _completed(numbers: bytes, missing: int) -> Iterator[bytes]:
    """Both numbers in 32 bytes each, for every way in which the missing zeros may be shared out."""
    for of_first in range(missing + 1):
        first, second = numbers[: NUMBER_SIZE - of_first], numbers[NUMBER_SIZE - of_first :]
        yield first.rjust(NUMBER_SIZE, b"\0") + second.rjust(NUMBER_SIZE, b"\0")


def _recover(numbers: bytes, recovery: int, digest: bytes) -> bytes | None:
    try:
        key = PublicKey.from_signature_and_message(numbers + bytes((recovery,)), digest, hasher=None)
    except Exception:  # noqa: BLE001 - coincurve raises a bare Exception here
        return None
    return key.format()


def sign_message(message: str, private_key: bytes) -> str:
    """For tests and the sandbox: the service itself holds no key of a Hathor wallet."""
    raw = PrivateKey(private_key).sign_recoverable(message_digest(message), hasher=None)
    return base64.b64encode(bytes((COMPRESSED_HEADER + raw[64],)) + raw[:64]).decode()


def authentication_message(timestamp_s: float, wallet_id: str, address: str) -> str:
    """What a wallet signs with its account key and its authentication key; the address is that key's own."""
    return f"{timestamp_s}{wallet_id}{address}"


def deletion_message(timestamp_s: float, wallet_id: str, address: str) -> str:
    """What a wallet signs with its authentication key to be deleted; no other signature of it can be taken for that."""
    return f"delete {authentication_message(timestamp_s, wallet_id, address)}"


def _decode_base64(text: str) -> bytes:
    bare = "".join(text.split()).rstrip("=").translate(URL_SAFE)
    return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)


def _varint(number: int) -> bytes:
    if number < 0xFD:  # noqa: PLR2004 - the format's first threshold
        return number.to_bytes(1)
    if number <= 0xFFFF:  # noqa: PLR2004 - and its second
        return b"\xfd" + number.to_bytes(2, "little")
    if number <= 0xFFFF_FFFF:  # noqa: PLR2004 - and its third
        return b"\xfe" + number.to_bytes(4, "little")
    raise ProtocolError("The message is too long")
