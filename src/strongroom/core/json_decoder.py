"""The way to decode JSON that others wrote: bodies, frames, tokens, answers of nodes.

A decoder that follows `[[[[` down ends in RecursionError, which no caller expects; and what it let through, deep as it is,
ends the next function that walks the value. So documents are nested `MAX_DEPTH` deep at most, and whatever is wrong with
one is a `msgspec.DecodeError`.
"""

from typing import Any, Final, Generic, TypeVar, overload

import msgspec

T = TypeVar("T")

MAX_DEPTH: Final = 64
"""Arrays and objects within each other; the deepest document of the three ledgers' clients and nodes has less than ten."""
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")
_NOT_OPENING: Final = bytes(byte for byte in range(256) if byte not in b"[{")
_NOT_SHAPE: Final = bytes(byte for byte in range(256) if byte not in b'[]{}"')


class NotJson(msgspec.DecodeError):
    """Not UTF-8, or nested too deep."""


@overload
def decode_json(data: bytes | str) -> Any: ...


@overload
def decode_json(data: bytes | str, kind: type[T]) -> T: ...


def decode_json(data: bytes | str, kind: Any = Any) -> Any:
    """A value of `kind`, or the plain value.

    Raises:
        msgspec.DecodeError: it is no JSON, not of this kind (ValidationError), or nested too deep.
    """
    try:
        check_depth(data)
        return msgspec.json.decode(data, type=kind)
    except UnicodeError:
        raise NotJson("JSON is not UTF-8") from None
    except RecursionError:
        raise NotJson(f"JSON is nested deeper than {MAX_DEPTH} levels") from None


class JsonDecoder(Generic[T]):
    """The same for one kind, prepared once."""

    def __init__(self, kind: type[T]) -> None:
        self._decode = msgspec.json.Decoder(kind).decode

    def decode(self, data: bytes | str | msgspec.Raw) -> T:
        """Raises: msgspec.DecodeError."""
        try:
            if not isinstance(data, msgspec.Raw):  # else a part of what was checked
                check_depth(data)
            return self._decode(data)
        except UnicodeError:
            raise NotJson("JSON is not UTF-8") from None
        except RecursionError:
            raise NotJson(f"JSON is nested deeper than {MAX_DEPTH} levels") from None


def check_depth(data: bytes | str) -> None:
    """Looks at brackets outside of strings only; whether the rest is JSON is the decoder's to say.

    Raises:
        NotJson: too deep, or brackets do not belong together.
        UnicodeEncodeError: text that has no UTF-8.
    """
    raw = data.encode() if isinstance(data, str) else data
    if len(raw.translate(None, _NOT_OPENING)) <= MAX_DEPTH:  # twice as fast as to count them
        return
    if b"\\" in raw:  # a run of backslashes begins unescaped, so pairs come first
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    shape = raw.translate(_ONE_KIND, _NOT_SHAPE).replace(b'""', b"")
    if b'"' in shape:
        shape = b"".join(shape.split(b'"')[::2])
    for _ in range(MAX_DEPTH):
        if not shape:
            return
        shape = shape.replace(b"[]", b"")  # takes the innermost level off
    if shape:
        raise NotJson(f"JSON is malformed, or nested deeper than {MAX_DEPTH} levels")
