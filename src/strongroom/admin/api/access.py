"""Who asks, and what each route needs: one of the scopes of the admin API, on the ledger of its path or on any ledger."""

from collections.abc import Sequence
from typing import Any, Final

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from strongroom.admin.estate import Authority, Estate
from strongroom.core.errors import Forbidden, InvalidInput
from strongroom.core.http.client import credentials_of
from strongroom.core.http.forwarded import TrustedProxies
from strongroom.core.http.requests.named import id_in, identified
from strongroom.core.http.route_access import SCOPE, is_methods_answer, is_public
from strongroom.core.security.access import Principal
from strongroom.core.security.attempts import Attempts
from strongroom.core.security.credentials import Credentials

READ: Final = "admin:read"
PAYMENTS: Final = "admin:payments"
WALLETS: Final = "admin:wallets"
AUDIT: Final = "admin:audit"
TOKENS: Final = "admin:tokens"
RULES: Final = "admin:rules"
FREEZE: Final = "admin:freeze"
UNFREEZE: Final = "admin:unfreeze"
WEBHOOKS: Final = "admin:webhooks"
KEYS: Final = "admin:keys"
SEAL: Final = "admin:seal"
UNSEAL: Final = "admin:unseal"
ANY: Final = "admin:*"
"""For a route that tells callers about themselves."""

LEDGER: Final = "ledger"


class Callers:
    """`admit` is the guard of every route; `authority` and `principal` (as `caller`) serve the routes."""

    def __init__(self, estate: Estate, proxies: TrustedProxies, attempts: Attempts) -> None:
        self._estate = estate
        self._proxies = proxies
        self._attempts = attempts

    async def admit(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        """Raises: Unauthenticated, Forbidden, RateLimited, NotFound, Unavailable; InvalidInput: the query is not as described."""
        if is_public(handler) or is_methods_answer(handler):
            return
        await self.admit_with(connection, handler, credentials_of(connection, self._proxies))

    async def admit_with(
        self,
        connection: ASGIConnection[Any, Any, Any, Any],
        handler: BaseRouteHandler,
        credentials: Credentials,
    ) -> None:
        """Admits whoever has these credentials. Raises as `admit`."""
        scope = handler.opt.get(SCOPE)
        if scope is None:
            raise Forbidden("The route is open to nobody: it declares no scope", code="route_closed")
        ledger = connection.path_params.get(LEDGER)
        # Of a ledger that is not served, a caller learns nothing without a token of another one.
        names = [one for one in self._estate.names if one == ledger] or self._estate.names
        authority = await self.identify(connection, credentials, names)
        connection.state.authority_of_all = authority
        identified(connection.scope, authority.name)
        authority = authority.require_any() if scope == ANY else authority.require(scope)
        if ledger is not None:
            self._estate.find(ledger)
        _check_query(connection, handler)
        connection.state.authority = authority

    @property
    def ledgers(self) -> Sequence[str]:
        return self._estate.names

    async def identify(
        self,
        connection: ASGIConnection[Any, Any, Any, Any],
        credentials: Credentials,
        names: Sequence[str],
    ) -> Authority:
        """Who it is on each of these ledgers. Raises: Unauthenticated, Forbidden, RateLimited, Unavailable."""
        request_id = id_in(connection.scope)
        # Each ledger is asked, and most do not know the token: here the attempt is one.
        return await self._attempts.identify(
            credentials, lambda: self._estate.identify(credentials, names, request_id)
        )

    @staticmethod
    def authority(request: Request[Any, Any, Any]) -> Authority:
        authority: Authority = request.state.authority
        return authority

    @staticmethod
    def principal(request: Request[Any, Any, Any]) -> Principal:
        """On the ledger of the path."""
        return Callers.authority(request).on(request.path_params[LEDGER])


def _check_query(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Refuses what would be ignored: a misspelt filter must not list everything."""
    known = handler.opt.get("query", ())
    given = [name for name, _ in connection.query_params.multi_items()]
    for name in given:
        if name not in known:
            told = ", ".join(known) if known else "none"
            raise InvalidInput(f"unknown parameter {name[:40]!r}; there is {told}", code="unknown_parameter")
        if given.count(name) > 1:
            raise InvalidInput(f"the parameter {name} is given twice", code="repeated_parameter")
