"""JSON that small programs write and careless decoders follow down."""

import base64
import json

DEEP = 1500
TOO_DEEP = 65
HOLLOW = "nested deeper than 64 levels"


def arrays(depth: int = DEEP) -> bytes:
    return b"[" * depth + b"]" * depth


def objects(depth: int = DEEP) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


def within(name: str, depth: int = DEEP, **others: object) -> bytes:
    """An object of which one field is nested, so that it is `depth` deep in all."""
    start = json.dumps(others)[:-1]
    return f"{start}{', ' if others else ''}{json.dumps(name)}: ".encode() + arrays(depth - 1) + b"}"


NESTED = (
    arrays(),
    objects(),
    arrays(TOO_DEEP),
    objects(TOO_DEEP),
    within("name"),
    within("amount", TOO_DEEP),
    b"[" * DEEP,
    b'{"a":' * DEEP,
    b'["' + b"[" * 10 + b'",' + arrays() + b"]",
    b'["\\"",' + arrays() + b"]",
)


def token(header: bytes, payload: bytes = b"{}") -> str:
    """A JSON web token of these two parts without a signature; at most 4096 letters, which is as far as services read."""
    parts = [base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (header, payload, bytes(32))]
    return ".".join(parts)
