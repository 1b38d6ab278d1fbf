"""Rights of the Atto surface, and who its caller is."""

from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from strongroom.core.security.access import Principal
from strongroom.core.security.tokens import Gatekeeper

READ = "atto:read"
WALLET = "atto:wallet"
ACCOUNT = "atto:account"
SEND = "atto:send"
CHANGE = "atto:change"

GUARDED = "/wallets"
"""Every route that asks for the principal is under it; one that were not would find none."""

SCOPES = {
    READ: "read wallets, accounts, entries and totals",
    WALLET: "create, import, lock and unlock wallets",
    ACCOUNT: "create, recover, label, enable and disable accounts",
    SEND: "send",
    CHANGE: "change representatives",
}


class Callers:
    """Finds the caller before anything of the request is read: `admit` as a guard, then `principal` for the route."""

    def __init__(self, gatekeeper: Gatekeeper) -> None:
        self._gatekeeper = gatekeeper

    async def admit(self, connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        """Raises Unauthenticated. The documentation and the sink of callbacks are for everybody."""
        if not connection.scope["path"].startswith(GUARDED):
            return
        connection.state.principal = await self._gatekeeper.identify(connection.headers.get("authorization"))

    @staticmethod
    def principal(request: Request[Any, Any, Any]) -> Principal:
        principal: Principal = request.state.principal
        return principal
