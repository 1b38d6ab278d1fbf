"""Where the admin API and the console listen."""

from dataclasses import dataclass
from typing import Final

from strongroom.core.environment import Environment
from strongroom.core.http.exposure import Access, Exposure
from strongroom.core.http.forwarded import TrustedProxies, parse_proxies

SURFACE: Final = "console"
PORT: Final = 8088
PORT_VARIABLE: Final = "CONSOLE_PORT"
SESSION_MINUTES: Final = 8 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminSettings:
    host: str
    port: int
    is_port_chosen: bool
    """The operator named the port: then the process does not start without it."""
    trusted_proxies: TrustedProxies
    has_pages: bool = True
    """Whether the port shows the web console beside the API."""
    session_ms: int = SESSION_MINUTES * 60_000
    """How long a person who signed in to the console stays signed in."""

    @property
    def exposure(self) -> Exposure:
        return Exposure(name=SURFACE, host=self.host, access=Access.TOKEN)


def read_admin_settings(environment: Environment) -> AdminSettings | None:
    """None: the API is off. Its host is loopback, whatever the host of the other surfaces, unless it is named."""
    is_on = environment.flag("CONSOLE_ENABLED", default=True)
    settings = AdminSettings(
        host=environment.text("CONSOLE_HOST", "127.0.0.1"),
        port=environment.port(PORT_VARIABLE, PORT),
        is_port_chosen=environment.is_set(PORT_VARIABLE),
        trusted_proxies=environment.parsed(
            "CONSOLE_TRUSTED_PROXIES",
            environment.text("CONSOLE_TRUSTED_PROXIES", "0"),
            parse_proxies,
            TrustedProxies(),
        ),
        has_pages=environment.flag("CONSOLE_PAGES", default=True),
        session_ms=60_000
        * environment.integer("CONSOLE_SESSION_MINUTES", SESSION_MINUTES, low=5, high=7 * 24 * 60),
    )
    return settings if is_on else None
