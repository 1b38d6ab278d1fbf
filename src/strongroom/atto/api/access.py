"""Rights of the Atto surface, and the dependency that finds the caller."""

from typing import Any

from litestar import Request

from strongroom.core.access import Principal
from strongroom.core.tokens import Gatekeeper

READ = "atto:read"
WALLET = "atto:wallet"
ACCOUNT = "atto:account"
SEND = "atto:send"
CHANGE = "atto:change"

SCOPES = {
    READ: "read wallets, accounts, entries and totals",
    WALLET: "create, import, lock and unlock wallets",
    ACCOUNT: "create, recover, label, enable and disable accounts",
    SEND: "send",
    CHANGE: "change representatives",
}


class Callers:
    def __init__(self, gatekeeper: Gatekeeper) -> None:
        self._gatekeeper = gatekeeper

    async def principal(self, request: Request[Any, Any, Any]) -> Principal:
        return await self._gatekeeper.identify(request.headers.get("authorization"))
