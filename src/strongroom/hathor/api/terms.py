"""The terms of a route: who may call it, and with what. They are kept before it runs, and told in the OpenAPI document."""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from litestar.handlers import BaseRouteHandler

from strongroom.hathor.api.validation import Schema

TERMS = "terms"


class Access(enum.Enum):
    PUBLIC = "without a token"
    TOKEN = "any token"  # noqa: S105 - a kind of access
    FULL = "full token"
    KEY = "x-api-key"
    LEGACY = "everybody on loopback; elsewhere an API token of the service"
    NOBODY = "nobody"
    """Of a route that says nothing: so none is open by mistake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    access: Access
    scope: str = ""
    """What an API token must be good for, with `Access.LEGACY`."""
    limited: bool = False
    """Whether a client may call it only so often in a minute."""
    path: Schema | None = None
    query: Schema | None = None
    body: Schema | Callable[[Any], Schema] | None = None
    """A function where it depends on the service's rules of registration."""
    amounts: bool = False
    """Whether the answer has amounts, whose form the caller may choose."""
    text: tuple[str, ...] = ()
    """The media types of an answer that is text instead of JSON."""

    @property
    def opt(self) -> dict[str, Any]:
        """For the decorator of a route."""
        return {TERMS: self}

    def __deepcopy__(self, memo: object) -> Self:
        """The framework copies every handler with all that hangs on it; this never changes."""
        return self


UNDECLARED = Terms(access=Access.NOBODY)


def terms_of(handler: BaseRouteHandler) -> Terms:
    found: Terms = handler.opt.get(TERMS, UNDECLARED)
    return found


PUBLIC = Terms(access=Access.PUBLIC).opt
