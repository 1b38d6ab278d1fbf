"""Who asks for a page, and whether a form came from one of the console's own pages.

A page's caller is whoever its session's token is: the session presents the token as a program presents it to the admin API, with the
same scopes, networks, rates, attempts and errors. So what ends the token ends the session with the next request.
"""

from dataclasses import replace
from hmac import compare_digest
from typing import Any, Final

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.enums import RequestEncodingType
from litestar.handlers import BaseRouteHandler

from strongroom.admin.api.access import Callers
from strongroom.admin.estate import Authority
from strongroom.console.cookies import Cookies
from strongroom.console.sign_ins import SignIns, decode_secret
from strongroom.core.errors import Forbidden, InvalidInput, StrongroomError, Unauthenticated, Unavailable
from strongroom.core.http.client import credentials_of
from strongroom.core.http.connections.shown import certificate_of
from strongroom.core.http.forwarded import TrustedProxies
from strongroom.core.http.route_access import is_methods_answer, is_public
from strongroom.core.security.credentials import Credentials
from strongroom.core.security.networks import ELSEWHERE
from strongroom.core.security.sessions.stored import Session

READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
FORM_TOKEN: Final = "form_token"  # noqa: S105 - the name of a field
OWN_SITE: Final = "same-origin"
MAX_FIELDS: Final = 50

AnyConnection = ASGIConnection[Any, Any, Any, Any]


class SignedOut(Unauthenticated):
    """Nobody is signed in, or no longer."""

    code = "signed_out"


class Visitors:
    """`admit` is the guard of every route of the console."""

    def __init__(
        self, callers: Callers, sign_ins: SignIns, cookies: Cookies, proxies: TrustedProxies
    ) -> None:
        self._callers = callers
        self._sign_ins = sign_ins
        self._cookies = cookies
        self._proxies = proxies

    async def admit(self, connection: AnyConnection, handler: BaseRouteHandler) -> None:
        """Raises: SignedOut, Forbidden, RateLimited, Unavailable; InvalidInput: the query is not as described."""
        if is_methods_answer(handler):
            return
        changes = _method_of(connection) not in READING
        if changes:
            _require_own_page(connection)
        if is_public(handler):
            return
        session = await self._session(connection)
        if changes:
            await _require_form_token(connection, session)
        connection.state.session = session
        try:
            await self._callers.admit_with(connection, handler, self._credentials(connection, session.token))
        except (Unauthenticated, Forbidden) as error:
            if isinstance(error, Unauthenticated) or error.instance_code == ELSEWHERE:
                await self._end(session)
                raise SignedOut(error.message) from error
            raise

    async def recheck(self, connection: AnyConnection) -> Authority:
        """Who began this request, if they still count. Raises as `admit`."""
        session = await self._session(connection)
        return await self._callers.identify(
            connection, self._credentials(connection, session.token), self._callers.ledgers
        )

    async def identify(self, connection: AnyConnection, token: str, names: tuple[str, ...]) -> Authority:
        """Who a token is, for whoever signs in with it. Raises as `Callers.identify`."""
        return await self._callers.identify(connection, self._credentials(connection, token), names)

    async def _session(self, connection: AnyConnection) -> Session:
        cookie = self._cookies.session_of(connection)
        if not cookie:
            raise SignedOut("")
        secret = decode_secret(cookie)
        session = None if secret is None else await self._sign_ins.find(secret)
        if session is None:
            raise SignedOut("The session is over.")
        return session

    async def _end(self, session: Session) -> None:
        try:
            await self._sign_ins.end(session)
        except Unavailable:
            return  # its token does not count, so neither does the session

    def _credentials(self, connection: AnyConnection, token: str) -> Credentials:
        """A certificate counts beside a token, never alone: the token is always there."""
        found = credentials_of(connection, self._proxies)
        return replace(found, authorization=f"Bearer {token}", certificate=certificate_of(connection.scope))


def _method_of(connection: AnyConnection) -> str:
    scope: Any = connection.scope
    return str(scope["method"])


def _require_own_page(connection: AnyConnection) -> None:
    """The door has refused what another page sends; what does not say where it comes from is refused here.

    Raises:
        Forbidden: no page of the console sent it.
    """
    sites = connection.headers.getall("sec-fetch-site", [])
    if any(site != OWN_SITE for site in sites) or not (sites or "origin" in connection.headers):
        raise _foreign()


async def _require_form_token(connection: AnyConnection, session: Session) -> None:
    if not isinstance(connection, Request):
        raise _foreign()
    given = (await form_of(connection)).get(FORM_TOKEN, "")
    if not compare_digest(given.encode(), session.form_token.encode()):
        raise _foreign()


def _foreign() -> StrongroomError:
    return Forbidden(
        "This form did not come from a page of this console, or the page is of an earlier session. Nothing was done",
        code="foreign_form",
    )


async def form_of(request: Request[Any, Any, Any]) -> dict[str, str]:
    """The fields of a form, each with one value. Raises: InvalidInput."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != RequestEncodingType.URL_ENCODED:
        raise InvalidInput("A form must be application/x-www-form-urlencoded", code="form_invalid")
    fields = list((await request.form()).multi_items())
    if len(fields) > MAX_FIELDS or len({name for name, _ in fields}) != len(fields):
        raise InvalidInput("A field of the form is given twice, or there are too many", code="form_invalid")
    if not all(isinstance(value, str) for _, value in fields):
        raise InvalidInput("A form of the console has no files", code="form_invalid")
    return dict(fields)
