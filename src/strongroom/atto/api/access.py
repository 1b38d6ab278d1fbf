"""The scopes of the Atto API, and the identification of its callers."""

from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from strongroom.core.http.client import credentials_of, with_request
from strongroom.core.http.forwarded import TrustedProxies
from strongroom.core.http.route_access import is_public, require_declared_scope
from strongroom.core.security.access import Principal
from strongroom.core.security.attempts import Identifier


class Callers:
    """Identifies the caller before the request's body is read: `admit` is the guard, `principal` serves the routes."""

    def __init__(self, gatekeeper: Identifier[Principal], proxies: TrustedProxies) -> None:
        self._gatekeeper = gatekeeper
        self._proxies = proxies

    async def admit(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        """Identifies the caller of a route that is not public. Raises: Unauthenticated, Forbidden."""
        if is_public(handler):
            return
        principal = await self._gatekeeper.identify(credentials_of(connection, self._proxies))
        principal = with_request(principal, connection)
        require_declared_scope(principal, handler)
        connection.state.principal = principal

    @staticmethod
    def principal(request: Request[Any, Any, Any]) -> Principal:
        principal: Principal = request.state.principal
        return principal
