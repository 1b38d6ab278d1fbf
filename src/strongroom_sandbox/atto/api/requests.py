"""What clients send: bodies, parts of paths, queries."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Final, TypeVar

import msgspec

from strongroom.atto.protocol import U64_MAX, Address, InvalidAmount, InvalidBlock, ProtocolError
from strongroom.atto.protocol.wire.scalars import Record, WireInteger, decode, from_hex, to_int
from strongroom_sandbox.atto.problems import AnyRequest, Problem
from strongroom_sandbox.atto.streaming.feeds import HeightRange

T = TypeVar("T")
_KEY_SIZE: Final = 32
MAX_BODY_BYTES: Final = 256 * 1024
"""The default of the node's framework (`spring.codec.max-in-memory-size`), which the node leaves as it is."""
_EPOCH: Final = datetime.fromtimestamp(0, UTC)


class _AccountSearch(Record, frozen=True):
    addresses: list[str]


class _AccountHeightSearch(Record, frozen=True):
    address: str
    from_height: WireInteger
    to_height: WireInteger = U64_MAX


class _HeightSearch(Record, frozen=True):
    search: list[_AccountHeightSearch]


class _FaucetRequest(Record, frozen=True):
    address: str
    amount: WireInteger


_account_search: Final = msgspec.json.Decoder(_AccountSearch)
_height_search: Final = msgspec.json.Decoder(_HeightSearch)
_faucet_request: Final = msgspec.json.Decoder(_FaucetRequest)


async def read_body(request: AnyRequest, parse: Callable[[bytes], T]) -> T:
    """The body, which must be JSON, through `parse`.

    Raises:
        Problem: 415; 413 above the framework's limit; 400; or 500 for an amount above the supply, which a node does not expect either.
    """
    content_type, _ = request.content_type
    if content_type != "application/json":
        text = f"Content-Type '{content_type}' is not supported."
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, text)
    body = await request.body()
    if len(body) > MAX_BODY_BYTES:
        text = f"Exceeded limit on max bytes to buffer : {MAX_BODY_BYTES}"
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)
    try:
        return parse(body)
    except InvalidAmount as error:
        raise Problem(HTTPStatus.INTERNAL_SERVER_ERROR, str(error)) from None
    except ProtocolError:
        raise Problem(HTTPStatus.BAD_REQUEST, "Failed to read HTTP message") from None


def parse_account_search(data: bytes) -> list[bytes]:
    """Public keys of the addresses."""
    return [Address.parse(address).public_key for address in decode(_account_search, data).addresses]


def parse_height_search(data: bytes) -> list[HeightRange]:
    """Raises Problem for a range that cannot be."""
    return [
        height_range(Address.parse(item.address).public_key, to_int(item.from_height), to_int(item.to_height))
        for item in decode(_height_search, data).search
    ]


def parse_faucet_request(data: bytes) -> tuple[Address, int]:
    """Receiver and amount in raw."""
    body = decode(_faucet_request, data)
    return Address.parse(body.address), to_int(body.amount)


def height_range(public_key: bytes, from_height: int, to_height: int) -> HeightRange:
    """Raises Problem for a range that cannot be."""
    if not (0 <= from_height <= U64_MAX and 0 <= to_height <= U64_MAX):
        raise Problem(HTTPStatus.BAD_REQUEST, "A height has 64 bits without a sign")
    if from_height == 0:
        raise Problem(HTTPStatus.BAD_REQUEST, "fromHeight can't be zero")
    if from_height > to_height:
        raise Problem(HTTPStatus.BAD_REQUEST, "toHeight must be greater or equal to fromHeight")
    return HeightRange(public_key=public_key, from_height=from_height, to_height=to_height)


def key_in_path(text: str) -> bytes:
    """A public key or a hash.

    Raises:
        Problem: 400, not 64 hexadecimal digits.
    """
    try:
        key = from_hex(text)
    except InvalidBlock:
        key = b""
    if len(key) != _KEY_SIZE:
        raise Problem(HTTPStatus.BAD_REQUEST, "Type mismatch.")
    return key


def instant_in_path(text: str) -> int:
    """Milliseconds since 1970 of an ISO-8601 instant.

    Raises:
        Problem: 400.
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise Problem(HTTPStatus.BAD_REQUEST, "Type mismatch.")
    return (instant - _EPOCH) // timedelta(milliseconds=1)
