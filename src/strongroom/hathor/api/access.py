"""Who calls: found before anything else of the request is read."""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from strongroom.core.clock import Clock
from strongroom.core.errors import Forbidden, Unauthenticated
from strongroom.core.http.forwarded import TrustedProxies
from strongroom.core.http.rate_limiter import RateLimiter
from strongroom.core.storage.database import Database
from strongroom.hathor.api.refusal import Refusal, forbidden_route, unauthorized
from strongroom.hathor.api.requests import Request
from strongroom.hathor.wallets.access import WalletReader
from strongroom.hathor.wallets.jwt import Mode, Principal, Tokens
from strongroom.hathor.wallets.registry import Wallet

AnyConnection = ASGIConnection[Any, Any, Any, Any]


class Caller:
    """Whoever shows a wallet's token, and that wallet."""

    def __init__(self, principal: Principal, reader: WalletReader) -> None:
        self.principal = principal
        self._reader = reader

    @property
    def wallet_id(self) -> str:
        return self.principal.wallet_id

    @property
    def database(self) -> Database:
        return self._reader.database

    @property
    def now_s(self) -> int:
        return self._reader.now_s

    async def wallet(self) -> Wallet:
        """In whatever status. Raises: WalletNotFound, TokenOutdated."""
        return await self._reader.wallet(self.principal)

    async def ready_wallet(self) -> Wallet:
        """Raises: WalletNotFound, TokenOutdated, WalletNotReady."""
        return await self._reader.ready_wallet(self.principal)

    async def known_wallet(self) -> Wallet | None:
        """None: there is none of this id. Raises: TokenOutdated."""
        return await self._reader.known_wallet(self.principal)


class Clients:
    """The limit on routes that cost a signature check or a wallet, for each client's address."""

    def __init__(self, clock: Clock, proxies: TrustedProxies, *, burst: int) -> None:
        """A client may ask `burst` times at once, and `burst` times in a minute on average."""
        self._rate_limiter = RateLimiter(clock)
        self._proxies = proxies
        self._burst = burst

    def take(self, request: Request) -> None:
        """Raises: Refusal: 429 `too-many-requests`."""
        peer = request.client.host if request.client else ""
        client = self._proxies.client(peer, request.headers.getall("x-forwarded-for", []))
        if self._rate_limiter.take(client, self._burst):
            raise Refusal(429, "too-many-requests")


class Callers:
    """What routes ask for as `caller`, `owner` and `limited_owner`."""

    def __init__(self, reader: WalletReader, tokens: Tokens, clients: Clients) -> None:
        self._reader = reader
        self._tokens = tokens
        self._clients = clients

    def caller(self, request: Request) -> Caller:
        """Whoever shows any token. Raises: GatewayRefusal: 401 or 403."""
        return Caller(self.identify(request), self._reader)

    def owner(self, request: Request) -> Caller:
        """Whoever shows a full token, which only the wallet's keys open. Raises: GatewayRefusal: 401 or 403."""
        principal = self.identify(request)
        if principal.mode is Mode.READ_ONLY:
            raise forbidden_route()
        return Caller(principal, self._reader)

    def limited_owner(self, request: Request) -> Caller:
        """The same, as often as the client may. Raises: Refusal: 429; GatewayRefusal: 401 or 403."""
        self._clients.take(request)
        return self.owner(request)

    def identify(self, connection: AnyConnection) -> Principal:
        """Raises: GatewayRefusal: 401 or 403."""
        header = connection.headers.get("authorization", "")
        token = header[7:].strip() if header[:7].lower() == "bearer " else header
        try:
            return self._tokens.verify(token)
        except Unauthenticated as error:
            raise unauthorized() from error
        except Forbidden as error:
            raise forbidden_route() from error


async def any_caller(connection: AnyConnection, _handler: BaseRouteHandler) -> None:
    """A guard, of routes that have nothing to do with the caller's own wallet. Raises: GatewayRefusal: 401 or 403."""
    callers: Callers = connection.app.state.callers
    callers.identify(connection)
