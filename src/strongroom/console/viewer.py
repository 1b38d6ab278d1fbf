"""Who looks at a page: what they may see and do, by the admin API's own routes, and how their pages are made."""

import asyncio
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from litestar import Request, Response
from litestar.datastructures import Cookie
from litestar.handlers import BaseRouteHandler
from litestar.response import Redirect, Template

from strongroom.admin.api.access import ANY, LEDGER
from strongroom.admin.estate import Authority, Estate
from strongroom.console.cookies import Cookies, note_of, theme_of
from strongroom.core.errors import Forbidden, StrongroomError, Unavailable
from strongroom.core.http.route_access import SCOPE
from strongroom.core.security.sessions.stored import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A page that the bar leads to."""

    title: str
    path: str
    scope: str
    """Who lacks it does not see the section. `admin:*`: whoever has any scope of the admin API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfLedgers:
    """What each ledger answered, and the ledgers that could not be asked."""

    of: Mapping[str, Any]
    away: Mapping[str, StrongroomError]


class Viewer:
    """One request of somebody who is signed in."""

    def __init__(
        self,
        request: Request[Any, Any, Any],
        estate: Estate,
        cookies: Cookies,
        sections: tuple[Section, ...],
    ) -> None:
        self._request = request
        self._cookies = cookies
        self._sections = sections
        self.estate = estate
        self.authority: Authority = request.state.authority_of_all
        self.session: Session = request.state.session

    @property
    def name(self) -> str:
        return self.authority.name.replace("token:", "")

    @property
    def sections(self) -> list[Section]:
        return [one for one in self._sections if self.may(one.scope)]

    def may(self, scope: str, ledger: str | None = None) -> bool:
        """Whether the admin API lets them, on this ledger or on any. It decides what is shown; each route decides again."""
        try:
            self._allowed(scope, ledger)
        except StrongroomError:
            return False
        return True

    async def call(self, route: BaseRouteHandler, ledger: str | None = None, **given: Any) -> Any:
        """What this route of the admin API answers them, which is typed in the route. It asks for the scope that the route declares.

        `ledger`: of the route's path. `given`: its other parameters; `ledger_of_query` is the one that a list filters by.

        Raises:
            Forbidden, NotFound, Unavailable, and whatever the route raises.
        """
        authority = self._allowed(route.opt[SCOPE], ledger)
        parameters = _parameters(route)
        known: dict[str, Any] = {"estate": self.estate, "authority": authority}
        if ledger is not None:
            self.estate.find(ledger)
            known |= {LEDGER: ledger, "caller": authority.on(ledger)}
        if (asked := given.pop("ledger_of_query", None)) is not None:
            known[LEDGER] = asked
        given |= {name: value for name, value in known.items() if name in parameters and name not in given}
        return await route.fn(None, **given)

    async def each(self, route: BaseRouteHandler, **given: Any) -> OfLedgers:
        """What this route answers them of every ledger where they have its scope."""
        names = [name for name in self.estate.names if self.may(route.opt[SCOPE], name)]

        async def one(name: str) -> Any:
            try:
                return await self.call(route, name, **given)
            except Unavailable as error:
                return error

        told = dict(zip(names, await asyncio.gather(*map(one, names)), strict=True))
        away = {name: answer for name, answer in told.items() if isinstance(answer, StrongroomError)}
        return OfLedgers(
            of={name: answer for name, answer in told.items() if name not in away},
            away={**self.authority.away, **away},
        )

    def page(self, template: str, *, status: int = 200, **context: Any) -> Template:
        """The page of this template. `context` is what the template names besides `viewer`."""
        note = note_of(self._request)
        return Template(
            template,
            context=plain_context(self._request, self.estate) | {"viewer": self, "note": note} | context,
            status_code=status,
            cookies=[self._cookies.note(self._request, "")] if note else [],
        )

    def done(self, path: str, what: str) -> Response[Any]:
        """After a change: leads to a page, which says what was done."""
        return Redirect(path, status_code=303, cookies=[self._cookies.note(self._request, what)])

    def cookie_of_nobody(self) -> Cookie:
        return self._cookies.no_session(self._request)

    def _allowed(self, scope: str, ledger: str | None) -> Authority:
        authority = self.authority
        if ledger is not None:
            if ledger in authority.away:
                raise authority.away[ledger]
            kept = {name: one for name, one in authority.principals.items() if name == ledger}
            if not kept:
                raise Forbidden(f"The token has no authority over {ledger[:40]}", code="scope_missing")
            authority = replace(authority, principals=kept, away={})
        return authority.require_any() if scope == ANY else authority.require(scope)


_THEMES: Final = {"auto": "as the system", "light": "light", "dark": "dark"}


def plain_context(request: Request[Any, Any, Any], estate: Estate) -> dict[str, Any]:
    """What every page has, also where nobody is signed in."""
    return {
        "now_ms": estate.now_ms,
        "titles": {name: estate.title_of(name) for name in estate.names},
        "coins": {name: estate.coin_of(name) for name in estate.names},
        "path": request.url.path,
        "theme": theme_of(request),
        "themes": _THEMES,
        "viewer": None,
        "note": "",
    }


@cache
def _parameters(route: BaseRouteHandler) -> frozenset[str]:
    return frozenset(inspect.signature(route.fn).parameters)
