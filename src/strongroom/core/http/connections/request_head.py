"""What the head of an HTTP request says, beside what the parser makes of it."""

import re
from collections.abc import Sequence

Headers = Sequence[tuple[bytes, bytes]]


def asks_for_websocket(headers: Headers) -> bool:
    offered = dict(headers).get(b"upgrade", b"").strip().lower()
    connection = b",".join(value for name, value in headers if name == b"connection").lower()
    return offered == b"websocket" and b"upgrade" in (word.strip() for word in connection.split(b","))


def has_body(headers: Headers) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in headers
    )


def write_head(method: bytes, target: bytes, version: str, headers: Headers) -> bytes:
    """The head again, as a client sends it."""
    lines = [b"%b %b HTTP/%b" % (method, target, version.encode())]
    lines += [b"%b: %b" % header for header in headers]
    return b"\r\n".join([*lines, b"", b""])


def take_host_of_target(target: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """Replaces the Host header by the host in an absolute request target, which takes precedence (RFC 9112, 3.2.2)."""
    scheme, separator, rest = target.partition(b"://")
    hosts = [index for index, (name, _) in enumerate(headers) if name == b"host"]
    if separator and scheme.isalpha() and len(hosts) == 1:
        authority = re.split(rb"[/?#]", rest, maxsplit=1)[0]
        headers[hosts[0]] = (b"host", authority)
