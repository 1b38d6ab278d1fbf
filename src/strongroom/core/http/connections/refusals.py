"""What a peer is told when no application answers."""

from dataclasses import dataclass
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from strongroom.core.http.connections.admission import Reason
from strongroom.core.http.connections.limits import MAX_HEAD, MAX_HEADERS
from strongroom.core.http.door import Dialect, Refused
from strongroom.core.http.forwarded import TrustedProxies

WORDS = {
    Reason.CONNECTIONS: (HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections are open. Try again later."),
    Reason.PEER_CONNECTIONS: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Too many connections are open from your address. Close some, or try again later.",
    ),
    Reason.MALFORMED: (HTTPStatus.BAD_REQUEST, "This is not a valid HTTP request."),
    Reason.LINE_TOO_LONG: (HTTPStatus.REQUEST_URI_TOO_LONG, "The request's URL is too long."),
    Reason.HEAD_TOO_LARGE: (
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        f"A request's head may have {MAX_HEAD} bytes and {MAX_HEADERS} headers.",
    ),
    Reason.FRAMING: (
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "The body's chunks have more around them than they carry.",
    ),
    Reason.HEAD_TIMEOUT: (HTTPStatus.REQUEST_TIMEOUT, "The request's head did not come in time."),
    Reason.BODY_TIMEOUT: (HTTPStatus.REQUEST_TIMEOUT, "The request's body did not come in time."),
    Reason.BODY_TOO_LARGE: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request's body is too large."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a surface wants of its connections."""

    surface: str
    max_body: int | None
    """None: the application has a limit, and words of its own for it."""
    messages_a_minute: int | None
    """None: as the gate says."""
    max_frame: int
    """Bytes of a WebSocket's message."""
    compresses_frames: bool
    ping_s: float
    """Between pings of a WebSocket."""
    proxies: TrustedProxies
    """Proxies of this surface, beside those that the gate knows."""
    dialect: Dialect
    """How a refusal is worded."""


def answer_of(reason: Reason, rules: Rules, path: str = "/") -> bytes:
    """What a peer is told when no application answers."""
    status, text = WORDS[reason]
    body = rules.dialect(path, Refused(status=status, code=reason.value, message=text))
    head = f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return STATUS_LINE[status] + head.encode() + body
