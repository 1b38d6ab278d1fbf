"""The request that is being answered: its id, and what the surface finds out about it meanwhile."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

SCOPE_KEY: Final = "strongroom.request"
_current: ContextVar["NamedRequest | None"] = ContextVar("strongroom_request", default=None)


@dataclass(slots=True, kw_only=True)
class NamedRequest:
    """One request, from its first byte to the end of its answer."""

    id: str
    span_id: int | None = None
    """The id of its span; None: nothing is traced."""
    principal: str | None = None
    """The name of who asks; None: nobody asked who it is, or it did not count."""


def request_in(scope: Any) -> NamedRequest | None:
    """The request of an ASGI scope; None: it came through no listener that names requests."""
    found: NamedRequest | None = scope.get(SCOPE_KEY)
    return found


def id_in(scope: Any) -> str:
    """Empty: the request has no id."""
    found = request_in(scope)
    return "" if found is None else found.id


def identified(scope: Any, name: str) -> None:
    """Notes who asks, for the access log."""
    found = request_in(scope)
    if found is not None:
        found.principal = name


def begin(scope: Any, request: NamedRequest) -> None:
    """From here on, the scope and this task have the request."""
    scope[SCOPE_KEY] = request
    _current.set(request)


def current_request() -> NamedRequest | None:
    """The request that this task answers; None: it answers none."""
    return _current.get()


def current_id() -> str:
    """The id of the request that this task answers; empty: it answers none, or one without an id."""
    found = _current.get()
    return "" if found is None else found.id
