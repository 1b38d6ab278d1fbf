"""The id of a request: the caller's own, or one that is made for it.

A caller's id is a name and no proof: anybody may send any id, and any id twice. It is bounded, so that it fits into a header, a
column and a line of a log. Source of `traceparent`: W3C Trace Context, section 3.2.
"""

import re
from collections.abc import Iterable
from typing import Final

from strongroom.core.clock import Entropy

HEADER: Final = b"x-request-id"
TRACE_HEADER: Final = b"traceparent"
MAX_ID: Final = 128
ID_BYTES: Final = 16
"""As many as the id of a trace has, so that a made id can be the id of a trace."""
_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,%d}" % MAX_ID)
_TRACE: Final = re.compile(
    rb"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})-[0-9a-f]{2}(?P<more>-.*)?"
)
_FIRST_VERSION: Final = b"00"
_NO_VERSION: Final = b"ff"

Headers = Iterable[tuple[bytes, bytes]]


def request_id_of(headers: Headers, entropy: Entropy) -> str:
    """The id in `X-Request-Id`, else the trace's in `traceparent`, else a new one. What is malformed or given twice counts as not given."""
    given = _only(headers, HEADER)
    if given is not None and _ID.fullmatch(given):
        return given.decode()
    return trace_id_of(headers) or entropy.token(ID_BYTES).hex()


def trace_id_of(headers: Headers) -> str | None:
    """The id of the trace that the request is part of; None: it names none."""
    given = _only(headers, TRACE_HEADER)
    found = None if given is None else _TRACE.fullmatch(given)
    if found is None or found["version"] == _NO_VERSION or not int(found["trace"], 16):
        return None
    if not int(found["parent"], 16) or (found["version"] == _FIRST_VERSION and found["more"] is not None):
        return None
    return found["trace"].decode()


def parent_span_of(headers: Headers) -> int | None:
    """The span of another service that made the request; None: it names none."""
    if trace_id_of(headers) is None:
        return None
    found = _TRACE.fullmatch(_only(headers, TRACE_HEADER) or b"")
    return None if found is None else int(found["parent"], 16)


def _only(headers: Headers, name: bytes) -> bytes | None:
    values = [value for key, value in headers if key == name]
    return values[0].strip() if len(values) == 1 else None
