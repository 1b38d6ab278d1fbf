"""What there is to say of one route."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from strongroom.hathor.api.validation import Schema

JSON = "application/json"


class Access(enum.Enum):
    PUBLIC = "without a token"
    TOKEN = "any token"  # noqa: S105 - a kind of access
    FULL = "full token"
    KEY = "x-api-key"
    LEGACY = "everybody on loopback; elsewhere an API token of the service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    method: str
    path: str
    """With `{name}` for parameters."""
    summary: str
    tag: str
    answer: Any
    """A type of `shapes`, or None for text."""
    status: int = 200
    access: Access = Access.TOKEN
    inside: Schema | None = None
    """The parameters in the path."""
    query: Schema | None = None
    body: Schema | None = None
    amounts: bool = False
    """Whether the answer has amounts, whose form the caller may choose."""
    media: tuple[str, ...] = (JSON,)
    errors: Mapping[int, str] = field(default_factory=dict)
    """Beside those that follow from the rest."""
