"""Decodes JSON from clients and peers: bodies, frames, tokens, answers of nodes.

A decoder that follows deeply nested brackets ends in RecursionError, which no caller expects. If it succeeds, the next function
that walks the value may fail the same way. So a document may be nested at most `MAX_DEPTH` levels deep, and every fault of a
document is a `msgspec.DecodeError`.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Generic, TypeVar, overload

import msgspec

T = TypeVar("T")

MAX_DEPTH: Final = 64
"""The most arrays and objects inside each other. The documents of the three ledgers' clients and nodes have fewer than ten."""
_TRUNCATED: Final = "Input data was truncated"
_HALF_PAIR: Final = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])")
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")
_NOT_OPENING: Final = bytes(byte for byte in range(256) if byte not in b"[{")
_NOT_SHAPE: Final = bytes(byte for byte in range(256) if byte not in b'[]{}"')


class NotJson(msgspec.DecodeError):
    """The text is not UTF-8, or nested too deep."""


@overload
def decode_json(data: bytes | str) -> Any: ...


@overload
def decode_json(data: bytes | str, kind: type[T]) -> T: ...


def decode_json(data: bytes | str, kind: Any = Any) -> Any:
    """A value of `kind`, or the plain value.

    Raises:
        msgspec.DecodeError: it is not JSON, not of this kind (ValidationError), or nested too deep.
    """
    return _decode(partial(msgspec.json.decode, type=kind), data)


class JsonDecoder(Generic[T]):
    """Decodes values of one kind, as `decode_json` does, with a decoder that is prepared once."""

    def __init__(self, kind: type[T]) -> None:
        self._decode = msgspec.json.Decoder(kind).decode

    def decode(self, data: bytes | str | msgspec.Raw) -> T:
        """Raises: msgspec.DecodeError."""
        return _decode(self._decode, data)


def _decode(decode: Callable[[Any], T], data: bytes | str | msgspec.Raw) -> T:
    try:
        if not isinstance(data, msgspec.Raw):  # a Raw is a part of a document that was already checked
            check_depth(data)
        return decode(data)
    except UnicodeError:
        raise NotJson("JSON is not UTF-8") from None
    except RecursionError:
        raise NotJson(f"JSON is nested deeper than {MAX_DEPTH} levels") from None
    except msgspec.DecodeError as error:
        if str(error) == _TRUNCATED and _has_half_pair(data):
            raise NotJson("JSON is malformed: a string ends in half of an escaped surrogate pair") from None
        raise


def _has_half_pair(data: bytes | str | msgspec.Raw) -> bool:
    """Finds what msgspec takes for the end of the document: a lone surrogate near its end."""
    raw = data.encode() if isinstance(data, str) else bytes(data)
    return _HALF_PAIR.search(raw) is not None


def check_depth(data: bytes | str) -> None:
    """Checks the depth by the brackets outside of strings; the decoder then checks the rest.

    Raises:
        NotJson: the document is nested too deep, or its brackets do not match.
        UnicodeEncodeError: the text has no UTF-8 form.
    """
    raw = data.encode() if isinstance(data, str) else data
    if len(raw.translate(None, _NOT_OPENING)) <= MAX_DEPTH:  # twice as fast as counting
        return
    if (
        b"\\" in raw
    ):  # removes escaped quotes; escaped backslashes first, because they may stand before a real quote
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    shape = raw.translate(_ONE_KIND, _NOT_SHAPE).replace(b'""', b"")
    if b'"' in shape:
        shape = b"".join(shape.split(b'"')[::2])
    for _ in range(MAX_DEPTH):
        if not shape:
            return
        shape = shape.replace(b"[]", b"")  # removes the innermost level
    if shape:
        raise NotJson(f"JSON is malformed, or nested deeper than {MAX_DEPTH} levels")
