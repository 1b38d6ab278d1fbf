"""The door in front of a surface without authentication: it admits programs, but no foreign web page.

A browser on the operator's machine or network can reach the service, and any web page in it can make it send requests. Three
headers show that, and a page cannot forge them:

- `Host` is the name in the page's own address. With DNS rebinding, an attacker's name resolves to this machine, so that the
  browser treats page and service as one origin. So a surface that listens on loopback accepts only names of this machine.
- `Origin` and `Sec-Fetch-Site` say which page sends the request, also for forms, images and `fetch` without a preflight.
- `Content-Type` can only be one of three simple types unless a preflight allowed another, and JSON is none of the three.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec

from strongroom.core.environment import Environment
from strongroom.core.http.hosts import Authority, Origin, is_loopback, parse_address

T = TypeVar("T")

HOSTS_VARIABLE = "STRONGROOM_ALLOWED_HOSTS"
ORIGINS_VARIABLE = "STRONGROOM_ALLOWED_ORIGINS"
OWN_SITES = frozenset({"same-origin", "none"})
"""The values of Sec-Fetch-Site for the service's own page, and for a person who typed the address."""
JSON_TYPES = ("application/json", "+json")
MAX_SHOWN = 100
READING = frozenset({"GET", "HEAD"})
PREFLIGHT_HEADERS = [
    (b"access-control-allow-methods", b"GET, POST, PUT, DELETE"),
    (
        b"access-control-allow-headers",
        b"Authorization, Content-Type, Accept, Idempotency-Key, X-Request-Id, Traceparent",
    ),
    (b"access-control-max-age", b"600"),
]

Message = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedCallers:
    """What the operator allows in addition to the surface's own host and pages."""

    hosts: frozenset[Authority] = frozenset()
    """Further host names of the service; a name without a port is valid for every port."""
    origins: frozenset[Origin] = frozenset()
    """The origins of other web pages that may call the service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Why a request was refused."""

    status: HTTPStatus
    code: str
    message: str


Dialect = Callable[[str, Refused], bytes]
"""The JSON body of a refusal of the request for this path, as the surface words it."""


def plain_dialect(_path: str, refused: Refused) -> bytes:
    return msgspec.json.encode(
        {
            "status": refused.status.value,
            "error": refused.status.phrase,
            "message": refused.message,
            "code": refused.code,
        }
    )


def read_allowed_callers(environment: Environment) -> AllowedCallers:
    """Reads both variables; `environment` collects the mistakes."""
    return AllowedCallers(
        hosts=_read(environment, HOSTS_VARIABLE, Authority.parse),
        origins=_read(environment, ORIGINS_VARIABLE, Origin.parse),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorRules:
    """Decides which requests are admitted. `bound_to` is the address that the surface listens on."""

    bound_to: str
    allowed: AllowedCallers = field(default_factory=AllowedCallers)
    pages: frozenset[str] = frozenset()
    """Paths of pages without data, which a link on another site may open."""
    is_linked: bool = False
    """Whether such a link may open every path: callers are known by a cookie that it does not bring along."""

    def caller(self, scope: Any) -> Refused | None:
        """The reason for a refusal; None for a request of a program, of the surface's own page or of an allowed page."""
        hosts = _values(scope, b"host")
        try:
            host = Authority.parse(hosts[0]) if len(hosts) == 1 else None
        except ValueError:
            host = None
        if host is None and (hosts or scope.get("http_version") != "1.0"):
            return Refused(
                status=HTTPStatus.BAD_REQUEST,
                code="invalid_host",
                message="A request must have one Host header, and it must name a host",
            )
        if not self._is_called_by_its_name(host, scope):
            return _forbidden(
                "host_not_allowed",
                f"The service does not answer to the host {_shown(hosts)}. {HOSTS_VARIABLE} names further ones",
            )
        return self._page(scope, host)

    def trusted_origin(self, scope: Any) -> str | None:
        """The Origin header if the operator allowed this origin, whose page may read the answer; else None."""
        origins = _values(scope, b"origin")
        origin = _parse_origin(origins)
        return origins[0] if origin is not None and origin in self.allowed.origins else None

    def _is_called_by_its_name(self, host: Authority | None, scope: Any) -> bool:
        """Whether the Host header names this service. An IP address is safe: no one can point it at another machine."""
        only_loopback = is_loopback(self.bound_to)
        if not only_loopback and not self.allowed.hosts:
            return True
        if host is None:
            # HTTP/1.0, or it was refused before. No browser speaks it, so no page is behind it: HAProxy's health checks do.
            return scope.get("method") in READING
        if is_loopback(host.name) or not self.allowed.hosts.isdisjoint({host, Authority(host.name, None)}):
            return True
        return not only_loopback and _same_address(host.name, (scope.get("server") or ("",))[0])

    def _page(self, scope: Any, host: Authority | None) -> Refused | None:
        origins, sites = _values(scope, b"origin"), _values(scope, b"sec-fetch-site")
        if self.trusted_origin(scope) is not None:
            return None
        if origins:
            origin = _parse_origin(origins)
            if origin is None or host is None or not origin.is_of(host):
                return _forbidden(
                    "origin_not_allowed",
                    f"A web page of {_shown(origins)} may not call this service. {ORIGINS_VARIABLE} names those that may",
                )
        if any(site not in OWN_SITES for site in sites) and not self._is_link(scope):
            return _forbidden(
                "cross_site",
                f"A web page of another site may not call this service. {ORIGINS_VARIABLE} names those that may",
            )
        return None

    def _is_link(self, scope: Any) -> bool:
        """Whether a person followed a link to one of the pages; in a frame, the destination would not be `document`."""
        return (
            scope.get("method") == "GET"
            and (self.is_linked or scope["path"] in self.pages)
            and _values(scope, b"sec-fetch-mode") == ["navigate"]
            and _values(scope, b"sec-fetch-dest") == ["document"]
        )


class Door:
    """ASGI middleware that refuses requests before the application sees them, in the surface's own error format."""

    def __init__(
        self, application: Any, *, rules: DoorRules | None, dialect: Dialect, json_only: bool = True
    ) -> None:
        """Without `rules`, callers authenticate themselves, and only the content type is checked."""
        self._application = application
        self._rules = rules
        self._dialect = dialect
        self._json_only = json_only

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        refused = self._rules.caller(scope) if self._rules else None
        if scope["type"] == "websocket":
            await self._upgrade(refused, scope, receive, send)
            return
        trusted = self._rules.trusted_origin(scope) if self._rules else None
        if trusted is not None:
            send = _readable_by(trusted, send)
        if refused is None and self._json_only and not _is_json(scope):
            message = await _first_part(receive)
            refused, receive = _not_json(scope, message), _again(message, receive)
        if refused is not None:
            await self._refuse(refused, scope, send)
        elif trusted is not None and scope["method"] == "OPTIONS":
            await _answer(send, HTTPStatus.NO_CONTENT, [*PREFLIGHT_HEADERS, *_private_network(scope)], b"")
        else:
            await self._application(scope, receive, send)

    async def _upgrade(self, refused: Refused | None, scope: Any, receive: Any, send: Any) -> None:
        if refused is None:
            await self._application(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": refused.code})

    async def _refuse(self, refused: Refused, scope: Any, send: Any) -> None:
        body = self._dialect(scope["path"], refused)
        await _answer(send, refused.status, [(b"content-type", b"application/json")], body)


def _is_json(scope: Any) -> bool:
    """Whether the body is declared as JSON, or there is none."""
    kinds = _values(scope, b"content-type")
    kind = kinds[0].partition(";")[0].strip().lower() if len(kinds) == 1 else ""
    if kind.startswith("application/") and kind.endswith(JSON_TYPES) and "," not in kind:
        return True
    lengths = _values(scope, b"content-length")
    return not _values(scope, b"transfer-encoding") and all(length.strip("0") == "" for length in lengths)


async def refused_body(scope: Any, read: Callable[[], Awaitable[bytes]]) -> Refused | None:
    """A refusal for a body that is not declared as JSON; None otherwise. For routes that have no door."""
    return None if _is_json(scope) or not await read() else _unsupported(scope)


async def _first_part(receive: Any) -> Message:
    """The first message with data. Some clients announce a body and send an empty one."""
    message: Message = await receive()
    while message["type"] == "http.request" and not message.get("body") and message.get("more_body"):
        message = await receive()
    return message


def _not_json(scope: Any, message: Message) -> Refused | None:
    return _unsupported(scope) if message.get("body") else None


def _again(message: Message, receive: Any) -> Any:
    """A `receive` that gives the application the message that was already received."""
    pending = [message]

    async def receive_again() -> Message:
        return pending.pop() if pending else await receive()

    return receive_again


def _unsupported(scope: Any) -> Refused:
    kinds = _values(scope, b"content-type")
    return Refused(
        status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        code="unsupported_media_type",
        message=f"Content type {_shown(kinds)} is not supported; a body must be application/json",
    )


def _readable_by(origin: str, send: Any) -> Any:
    headers = [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", b"X-Request-Id"),
        (b"vary", b"Origin"),
    ]

    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *headers]
        await send(message)

    return marked


def _private_network(scope: Any) -> list[tuple[bytes, bytes]]:
    asked = _values(scope, b"access-control-request-private-network") == ["true"]
    return [(b"access-control-allow-private-network", b"true")] if asked else []


async def _answer(send: Any, status: HTTPStatus, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    if body:
        headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status.value, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _forbidden(code: str, message: str) -> Refused:
    return Refused(status=HTTPStatus.FORBIDDEN, code=code, message=message)


def _values(scope: Any, name: bytes) -> list[str]:
    return [value.decode("latin-1").strip() for key, value in scope["headers"] if key.lower() == name]


def _shown(values: Iterable[str]) -> str:
    return repr(", ".join(values)[:MAX_SHOWN])


def _parse_origin(values: list[str]) -> Origin | None:
    try:
        return Origin.parse(values[0]) if len(values) == 1 else None
    except ValueError:
        return None


def _same_address(name: str, own: str) -> bool:
    address = parse_address(name)
    return address is not None and address == parse_address(own)


def _read(environment: Environment, variable: str, parse: Callable[[str], T]) -> frozenset[T]:
    def parse_all(text: str) -> frozenset[T]:
        return frozenset(parse(part.strip()) for part in text.split(",") if part.strip())

    nothing: frozenset[T] = frozenset()
    return environment.parsed(variable, environment.text(variable, ","), parse_all, nothing)
