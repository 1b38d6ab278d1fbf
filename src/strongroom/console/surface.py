"""Puts the console beside the admin API, on the same port."""

from dataclasses import dataclass, replace
from typing import Any, Final

from strongroom.admin.api.access import Callers
from strongroom.admin.estate import Estate
from strongroom.admin.settings import AdminSettings
from strongroom.console.access import Visitors
from strongroom.console.application import create_application
from strongroom.console.cookies import Cookies
from strongroom.console.live.watch import Watch
from strongroom.console.refusals import SIGN_IN, PageAnswers
from strongroom.console.sign_ins import OneTimeLinks, SignIns
from strongroom.core.clock import Clock, Entropy
from strongroom.core.http.listener import Surface
from strongroom.core.http.timing import TimedApplication
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.security.attempts import Attempts

API: Final = "/admin/"
DOCUMENTATION: Final = "/swagger-ui"
LIVE: Final = "/live"


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """The surface with the console on it, the links that sign in to it, and what its viewers watch."""

    surface: Surface
    links: OneTimeLinks
    watch: Watch

    def link(self, url: str, token: str) -> str:
        """An address that signs in with this token once, at the surface with this URL."""
        return f"{url}{SIGN_IN}?code={self.links.make(token)}"


def with_console(
    surface: Surface,
    settings: AdminSettings,
    estate: Estate,
    *,
    attempts: Attempts,
    metrics: Metrics,
    clock: Clock,
    entropy: Entropy,
) -> Console:
    """`surface`: the admin API's. `attempts` are those of the API too: whoever guesses here guesses there."""
    cookies = Cookies(settings.trusted_proxies)
    sign_ins = SignIns(estate, clock, entropy, settings.session_ms)
    links = OneTimeLinks(clock, entropy)
    watch = Watch(clock)
    callers = Callers(estate, settings.trusted_proxies, attempts)
    application = create_application(
        estate,
        visitors=Visitors(callers, sign_ins, cookies, settings.trusted_proxies),
        sign_ins=sign_ins,
        links=links,
        cookies=cookies,
        errors=PageAnswers(metrics, estate, cookies),
        watch=watch,
    )
    beside = ByPath(surface.application, TimedApplication(application, metrics), application)
    return Console(
        surface=replace(surface, application=beside, forms_but_under=API), links=links, watch=watch
    )


class ByPath:
    """ASGI: the admin API where its paths are, and the console everywhere else. How long somebody looks at a page is not measured."""

    def __init__(self, application: Any, console: Any, untimed: Any) -> None:
        self._application = application
        self.console = console
        self._untimed = untimed

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        if path.startswith((API, DOCUMENTATION)):
            await self._application(scope, receive, send)
        else:
            await (self._untimed if path == LIVE else self.console)(scope, receive, send)
