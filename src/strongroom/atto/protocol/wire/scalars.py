"""The scalar forms of the wire, and the one way to decode a document."""

from binascii import unhexlify
from typing import Final, Literal, TypeVar

import msgspec

from strongroom.atto.protocol.address import Address
from strongroom.atto.protocol.errors import InvalidBlock

# msgspec reads 1.0 as an integer where only integers are allowed, so floats are let in here and refused below.
WireInteger = int | float | str
WireAlgorithm = Literal["V1"]
V1: Final = "V1"
encode: Final = msgspec.json.Encoder().encode
_MAX_DIGITS: Final = 20

_Wire = TypeVar("_Wire")


class Record(msgspec.Struct, frozen=True, rename="camel"):
    """A JSON object. Fields stand in the order in which a node writes them."""


def decode(decoder: msgspec.json.Decoder[_Wire], data: bytes) -> _Wire:
    """Raises InvalidBlock when `data` is no such document."""
    try:
        return decoder.decode(data)
    except msgspec.DecodeError as error:
        raise InvalidBlock(str(error)) from None
    except (UnicodeDecodeError, RecursionError):
        raise InvalidBlock("JSON is malformed") from None


def to_int(value: WireInteger) -> int:
    """Ranges are checked by the record that takes the integer."""
    if isinstance(value, int):
        return value
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= _MAX_DIGITS:
        return int(value)
    raise InvalidBlock("Expected an unsigned integer")


def to_hex(value: bytes) -> str:
    return value.hex().upper()


def from_hex(text: str) -> bytes:
    """The size is checked by the record that takes the bytes."""
    try:
        return unhexlify(text)
    except ValueError:
        raise InvalidBlock("Expected hex") from None


def to_uri(public_key: bytes) -> str:
    return Address(public_key=public_key).uri


def require_same_key(address: str | None, public_key: bytes) -> None:
    """Raises InvalidBlock when an address field contradicts the key that it stands beside."""
    if address is not None and Address.parse(address).public_key != public_key:
        raise InvalidBlock("An address contradicts its public key")
