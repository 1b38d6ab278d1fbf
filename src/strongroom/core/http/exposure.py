"""Which surfaces the network may reach, as the settings say before anything is served."""

import enum
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from strongroom.core.http.hosts import is_loopback

ALLOW_VARIABLE = "STRONGROOM_ALLOW_UNAUTHENTICATED"


class Access(enum.Enum):
    """What a caller needs."""

    TOKEN = enum.auto()
    """A token or a signature with each request."""
    REACH = enum.auto()
    """Reaching it is enough. The door stands before it: programs come in, web pages of others do not."""
    PUBLIC = enum.auto()
    """The same, and web pages come in too: who knows nothing more learns and moves nothing there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """A surface, and who reaches it."""

    name: str
    host: str
    access: Access
    remedy: str = ""
    """How its callers are made to prove who they are, for the operator: `require tokens (X=true)`."""

    @property
    def is_open(self) -> bool:
        """Whether somebody on another machine needs nothing but to reach it."""
        return self.access is not Access.TOKEN and not is_loopback(self.host)


def exposure_mistakes(surfaces: Iterable[Exposure], allowed: AbstractSet[str]) -> list[str]:
    """A surface without authentication listens on loopback only, unless the operator allows it by name."""
    return [
        f"STRONGROOM_HOST={surface.host} would let the network reach the {surface.name} surface without"
        f" authentication. If that is wanted, add {surface.name} to {ALLOW_VARIABLE}"
        + (f", or {surface.remedy}" if surface.remedy else "")
        for surface in sorted(surfaces, key=lambda surface: surface.name)
        if surface.is_open and surface.name not in allowed
    ]
