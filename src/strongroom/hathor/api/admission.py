"""Keeps the terms of routes, before anything else of a request is read."""

import math
from typing import Any

from litestar import Request as AnyRequest

from strongroom.core.coordination.rate_limiter import RateLimiter
from strongroom.core.coordination.rates import Rate
from strongroom.core.errors import Forbidden, RateLimited, Unauthenticated
from strongroom.core.http.client import client_of
from strongroom.core.http.forwarded import TrustedProxies
from strongroom.core.http.requests.named import id_in, identified
from strongroom.core.security.attempts import Attempts
from strongroom.core.security.credentials import Credentials
from strongroom.hathor.api.access import Caller
from strongroom.hathor.api.amounts import amount_form
from strongroom.hathor.api.first_api.access import LegacyAccess
from strongroom.hathor.api.refusal import forbidden_route, unauthorized
from strongroom.hathor.api.requests import Request
from strongroom.hathor.api.terms import Access, terms_of
from strongroom.hathor.wallets.access import WalletReader
from strongroom.hathor.wallets.jwt import Mode, Principal, Tokens


class Clients:
    """Where requests come from, and for each client the limit on routes that cost a signature check or a wallet."""

    def __init__(self, rate_limiter: RateLimiter, proxies: TrustedProxies, *, burst: int) -> None:
        """A client may ask `burst` times at once, and `burst` times in a minute on average."""
        self._rate_limiter = rate_limiter
        self._proxies = proxies
        self._rate = Rate(requests=burst, seconds=60)

    async def take(self, request: Request) -> None:
        """Raises: RateLimited."""
        wait_s = await self._rate_limiter.take(self.source(request), self._rate, is_stranger=True)
        if wait_s:
            raise RateLimited(f"More than {self._rate} requests", retry_after_s=math.ceil(wait_s))

    def source(self, request: Request) -> str:
        """Where a request came from."""
        return client_of(request, self._proxies)


class Admission:
    """`admit` runs before every route; what it finds is in the request."""

    def __init__(
        self,
        reader: WalletReader,
        tokens: Tokens,
        clients: Clients,
        attempts: Attempts,
        first_api: LegacyAccess | None = None,
    ) -> None:
        """`first_api`: None where that is not served."""
        self._reader = reader
        self._tokens = tokens
        self._clients = clients
        self._attempts = attempts
        self._first_api = first_api

    async def admit(self, request: AnyRequest[Any, Any, Any]) -> None:
        """Raises: Refusal: 400, 401, 403 or 415; RateLimited."""
        if not isinstance(request, Request):
            raise TypeError("the application has another class of requests")
        request.amounts = amount_form(request)
        terms = terms_of(request.route_handler)
        if terms.limited:
            await self._clients.take(request)
        access = terms.access
        if access is Access.TOKEN or access is Access.FULL:
            request.caller = await self._identify(request, full=access is Access.FULL)
        elif access is Access.LEGACY:
            if self._first_api is None:
                raise forbidden_route()  # a route that is served by mistake is open to nobody
            request.holder = await self._first_api.admit(request, terms.scope)
        elif access is Access.NOBODY:
            raise forbidden_route()

    async def _identify(self, request: Request, *, full: bool) -> Caller:
        """`full`: of routes that a read-only token does not open. Raises: GatewayRefusal: 401 or 403; RateLimited."""
        header = request.headers.get("authorization", "")
        token = header[7:].strip() if header[:7].lower() == "bearer " else header
        source = self._clients.source(request)
        credentials = Credentials(authorization=token or None, source=source)

        async def verify() -> Principal:
            return self._tokens.verify(token)

        try:
            principal = await self._attempts.identify(credentials, verify)
        except Unauthenticated as error:
            raise unauthorized() from error
        except Forbidden as error:
            raise forbidden_route() from error
        if full and principal.mode is Mode.READ_ONLY:
            raise forbidden_route()
        identified(request.scope, f"wallet:{principal.wallet_id}")
        return Caller(principal, self._reader, source, id_in(request.scope))
