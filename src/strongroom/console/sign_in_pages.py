"""Signing in with a token or a link that works once, signing out, and the choice between light and dark."""

from typing import Annotated, Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Redirect, Template

from strongroom.admin.api.access import ANY
from strongroom.admin.estate import Estate
from strongroom.console.access import Visitors, form_of
from strongroom.console.cookies import THEMES, Cookies, note_of, theme_of
from strongroom.console.refusals import ADVICE, SIGN_IN
from strongroom.console.sign_ins import OneTimeLinks, SignIns, encode_secret
from strongroom.console.viewer import Viewer, plain_context
from strongroom.core.errors import Forbidden, InvalidInput, RateLimited, Unauthenticated
from strongroom.core.http.errors import STATUSES, status_of
from strongroom.core.http.route_access import PUBLIC, needs
from strongroom.core.security.sessions.stored import Session

MAX_TOKEN = 600
NO_LINK = "no-link"
"""In place of a token: whoever tries codes is slowed down as whoever tries tokens."""
UNUSABLE = "That link was used before, or its time is over. Sign in with a token."
Text = Annotated[str, QueryParameter(required=False)]
AnyRequest = Request[Any, Any, Any]


class SignInPages(Controller):
    """Nobody needs to be signed in for these."""

    @get(SIGN_IN, opt=PUBLIC)
    async def show(
        self,
        request: AnyRequest,
        estate: NamedDependency[Estate],
        jar: NamedDependency[Cookies],
        next_path: Annotated[str, QueryParameter(name="next", required=False)] = "",
        code: Text = "",
    ) -> Template:
        """Opening the page of a link uses nothing up: a person presses the button. No link chooses the words of the page."""
        why = note_of(request)
        page = _form(request, estate, why=why, next_path=next_path, code=code[:100])
        if why:
            page.cookies.append(jar.note(request, ""))
        return page

    @post(SIGN_IN, opt=PUBLIC)
    async def sign_in(
        self,
        request: AnyRequest,
        estate: NamedDependency[Estate],
        visitors: NamedDependency[Visitors],
        sign_ins: NamedDependency[SignIns],
        links: NamedDependency[OneTimeLinks],
        jar: NamedDependency[Cookies],
    ) -> Response[Any]:
        """The token is presented as any caller's is; wrong ones are slowed down and recorded as those of programs."""
        form = await form_of(request)
        next_path, code = form.get("next", ""), form.get("code", "")
        token = form.get("token", "").strip()
        try:
            if code:
                with links.using(code) as held:
                    token = held or NO_LINK
                    session = await _open(request, token, visitors, sign_ins, estate)
            else:
                session = await _open(request, token, visitors, sign_ins, estate)
        except (Unauthenticated, Forbidden, RateLimited, InvalidInput) as error:
            why = UNUSABLE if token == NO_LINK else error.message
            status = status_of(error, STATUSES)
            again = code if isinstance(error, RateLimited) and token != NO_LINK else ""
            return _form(request, estate, why=why, next_path=next_path, code=again, status=status)
        seconds = (session.expires_at_ms - estate.now_ms) // 1000
        cookie = jar.session(request, encode_secret(session.secret), seconds)
        return Redirect(_own(next_path), status_code=303, cookies=[cookie])

    @post("/theme", opt=PUBLIC)
    async def choose_theme(self, request: AnyRequest, jar: NamedDependency[Cookies]) -> Response[Any]:
        form = await form_of(request)
        theme = form.get("theme", "")
        chosen = theme if theme in THEMES else theme_of(request)
        return Redirect(_own(form.get("next", "")), status_code=303, cookies=[jar.theme(request, chosen)])


class SignOutPages(Controller):
    @post("/sign-out", opt=needs(ANY))
    async def sign_out(
        self, viewer: NamedDependency[Viewer], sign_ins: NamedDependency[SignIns]
    ) -> Response[Any]:
        """Ends the session in every process; the token goes on."""
        await sign_ins.end(viewer.session)
        return Redirect(SIGN_IN, status_code=303, cookies=[viewer.cookie_of_nobody()])


async def _open(
    request: AnyRequest, token: str, visitors: Visitors, sign_ins: SignIns, estate: Estate
) -> Session:
    """Raises: Unauthenticated, Forbidden, RateLimited, Unavailable; InvalidInput: no token looks like this."""
    authority = await visitors.identify(request, _presentable(token), tuple(estate.names))
    authority.require_any()
    return await sign_ins.open(token, authority.principals)


def _form(
    request: AnyRequest,
    estate: Estate,
    *,
    why: str = "",
    next_path: str = "",
    code: str = "",
    status: int = 200,
) -> Template:
    told = {"why": why, "next_path": _own(next_path), "code": code}
    context = plain_context(request, estate) | {"advice": ADVICE} | told
    return Template("sign_in.html", context=context, status_code=status)


def _presentable(token: str) -> str:
    """Raises: InvalidInput: no token looks like this."""
    if not token or len(token) > MAX_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidInput("That is no API token. One begins with sr_", code="token_malformed")
    return token


def _own(path: str) -> str:
    """A path of the console, wherever somebody wants to lead a person who signs in."""
    is_own = path.startswith("/") and path[1:2] not in {"/", "\\"} and path.isprintable() and "\\" not in path
    return path if is_own and not path.startswith(SIGN_IN) else "/"
