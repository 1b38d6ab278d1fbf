"""What a route says of itself for the OpenAPI document, beside the types of its answers."""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from strongroom.hathor.api.validation import Schema

TAKES = "takes"
ACCESS = "access"


class Access(enum.Enum):
    PUBLIC = "without a token"
    TOKEN = "any token"  # noqa: S105 - a kind of access
    FULL = "full token"
    KEY = "x-api-key"
    LEGACY = "everybody on loopback; elsewhere an API token of the service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Takes:
    path: Schema | None = None
    query: Schema | None = None
    body: Schema | Callable[[Any], Schema] | None = None
    """A function where it depends on the service's rules of registration."""
    amounts: bool = False
    """Whether the answer has amounts, whose form the caller may choose."""
    text: tuple[str, ...] = ()
    """The media types of an answer that is text instead of JSON."""

    def __deepcopy__(self, memo: object) -> Self:
        """The framework copies every handler with all that hangs on it; this never changes."""
        return self


def takes(
    *,
    path: Schema | None = None,
    query: Schema | None = None,
    body: Schema | Callable[[Any], Schema] | None = None,
    amounts: bool = False,
    text: tuple[str, ...] = (),
) -> dict[str, Any]:
    """The `opt` of a route."""
    return {TAKES: Takes(path=path, query=query, body=body, amounts=amounts, text=text)}
