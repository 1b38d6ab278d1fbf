"""An endpoint: where events go, and which."""

import enum
from dataclasses import dataclass, field

from strongroom.core.webhooks.kinds import matches


class EndpointState(enum.StrEnum):
    """Whether anything is sent."""

    ACTIVE = "active"
    DISABLED = "disabled"
    """Nothing new waits for it. What waited goes on when it is active again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events an endpoint gets."""

    kinds: tuple[str, ...] = ()
    """Patterns; none: all."""
    wallets: tuple[str, ...] = ()
    """None: all, and what concerns no wallet."""

    def has(self, kind: str, wallet: str) -> bool:
        return self.has_kind(kind) and (not self.wallets or wallet in self.wallets)

    def has_kind(self, kind: str) -> bool:
        return not self.kinds or any(matches(pattern, kind) for pattern in self.kinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSecret:
    """A secret that signs. The repr hides it."""

    secret: str = field(repr=False)
    ends_at_ms: int | None = None
    """When it signs no more, because another one took its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Private:
    """What is sealed of an endpoint."""

    url: str = field(repr=False)
    secrets: tuple[EndpointSecret, ...]
    """The newest first."""

    def signing(self, now_ms: int) -> list[str]:
        return [one.secret for one in self.secrets if one.ends_at_ms is None or now_ms < one.ends_at_ms]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """As it is stored."""

    id: str
    name: str
    shown_url: str
    """Without path and query."""
    wanted: Wanted
    sealed: bytes = field(repr=False)
    state: EndpointState
    reason: str | None
    """Why it is disabled."""
    created_at_ms: int
    created_by: str
    version: int
