"""Checks which surfaces the network can reach without authentication, before anything is served."""

import enum
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from strongroom.core.http.hosts import is_loopback

ALLOW_VARIABLE = "STRONGROOM_ALLOW_UNAUTHENTICATED"


class Access(enum.Enum):
    """What a caller needs to use a surface."""

    TOKEN = enum.auto()
    """A token or a signature with each request."""
    REACH = enum.auto()
    """Nothing but a connection. The door admits programs and refuses foreign web pages."""
    PUBLIC = enum.auto()
    """Nothing, and web pages are admitted too: without a secret of a user, the surface reveals and changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """A surface, its address and what its callers need."""

    name: str
    host: str
    access: Access
    remedy: str = ""
    """How the operator turns authentication on, for messages: `require tokens (X=true)`."""

    @property
    def is_open(self) -> bool:
        """Whether callers on other machines need no authentication."""
        return self.access is not Access.TOKEN and not is_loopback(self.host)


def exposure_mistakes(surfaces: Iterable[Exposure], allowed: AbstractSet[str]) -> list[str]:
    """A sentence for each surface that the network reaches without authentication and that the operator has not allowed."""
    return [
        f"STRONGROOM_HOST={surface.host} would let the network reach the {surface.name} surface without"
        f" authentication. If that is wanted, add {surface.name} to {ALLOW_VARIABLE}"
        + (f", or {surface.remedy}" if surface.remedy else "")
        for surface in sorted(surfaces, key=lambda surface: surface.name)
        if surface.is_open and surface.name not in allowed
    ]
