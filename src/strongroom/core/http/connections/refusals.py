"""The answers to a peer whose request no application sees."""

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
        "The body's chunks have too much framing for their content.",
    ),
    Reason.HEAD_TIMEOUT: (HTTPStatus.REQUEST_TIMEOUT, "The request's head did not come in time."),
    Reason.BODY_TIMEOUT: (HTTPStatus.REQUEST_TIMEOUT, "The request's body did not come in time."),
    Reason.BODY_TOO_LARGE: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request's body is too large."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """A surface's rules for its connections."""

    surface: str
    max_body: int | None
    """None: the application has its own limit and its own error for it."""
    messages_a_minute: int | None
    """None: the gate's limit."""
    max_frame: int
    """The largest WebSocket message, in bytes."""
    compresses_frames: bool
    ping_s: float
    """The pause between pings of a WebSocket."""
    proxies: TrustedProxies
    """This surface's proxies, in addition to the gate's."""
    dialect: Dialect
    """The format of a refusal."""


def answer_of(reason: Reason, rules: Rules, path: str = "/") -> bytes:
    """The complete HTTP answer for a refusal."""
    status, text = WORDS[reason]
    body = rules.dialect(path, Refused(status=status, code=reason.value, message=text))
    head = f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return STATUS_LINE[status] + head.encode() + body
