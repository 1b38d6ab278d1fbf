"""Signed messages: recoverable signatures over text, as Bitcoin wallets make them."""

import base64
import binascii

from coincurve import PrivateKey, PublicKey

from strongroom.hathor.protocol.errors import ProtocolError, SignatureError
from strongroom.hathor.protocol.hashes import base58check_decode, hash160, sha256d

PREFIX = b"\x17Hathor Signed Message:\n"
SIGNATURE_SIZE = 65
URL_SAFE = str.maketrans("-_", "+/")
COMPRESSED_HEADER = 31
"""27 plus 4 for a compressed key; the recovery id (0 to 3) is added to it."""


def message_digest(message: str) -> bytes:
    data = message.encode()
    return sha256d(PREFIX + _varint(len(data)) + data)


def verify_message(message: str, signature: str, address: str) -> None:
    """Checks that the key behind `address` signed `message`; `signature` is base64 of 65 bytes, padded or not, of either alphabet.

    The version byte of the address does not count, its key hash does.

    Raises:
        SignatureError: the signature is malformed or of another key.
        ProtocolError: the address is malformed.
    """
    try:
        raw = _decode_base64(signature)
    except (binascii.Error, ValueError) as error:
        raise SignatureError("The signature is not base64") from error
    if len(raw) != SIGNATURE_SIZE or not COMPRESSED_HEADER <= raw[0] < COMPRESSED_HEADER + 4:
        raise SignatureError("The signature is not 65 bytes for a compressed key")
    try:
        key = PublicKey.from_signature_and_message(
            raw[1:] + bytes((raw[0] - COMPRESSED_HEADER,)), message_digest(message), hasher=None
        )
    except Exception as error:  # coincurve raises a bare Exception here
        raise SignatureError("No key can have made the signature") from error
    if hash160(key.format()) != base58check_decode(address)[1:]:
        raise SignatureError("The signature is of another key")


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
