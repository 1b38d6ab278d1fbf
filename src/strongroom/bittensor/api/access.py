"""Finds the caller of a route, before anything else of the request is read."""

import math
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from strongroom.bittensor.authorization.limits import limits_of, require_network
from strongroom.core.coordination.rate_limiter import RateLimiter
from strongroom.core.coordination.rates import Rate
from strongroom.core.errors import Forbidden, RateLimited
from strongroom.core.http.client import credentials_of, with_request
from strongroom.core.http.forwarded import TrustedProxies
from strongroom.core.http.route_access import is_public, require_declared_scope
from strongroom.core.security.access import Principal
from strongroom.core.security.attempts import Identifier
from strongroom.core.security.networks import ELSEWHERE
from strongroom.core.security.upkeep.token_uses import TokenUses


class Callers:
    """`admit` as a guard, then `principal` for the route."""

    def __init__(
        self,
        authenticator: Identifier[Principal],
        rate_limiter: RateLimiter,
        *,
        requests_a_minute: int,
        proxies: TrustedProxies,
        uses: TokenUses,
    ) -> None:
        self._authenticator = authenticator
        self._rate_limiter = rate_limiter
        self._requests_a_minute = requests_a_minute
        self._proxies = proxies
        self._uses = uses

    async def admit(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        """Raises: Unauthenticated, Forbidden, RateLimited."""
        if is_public(handler):
            return
        principal = await self._authenticator.identify(credentials_of(connection, self._proxies))
        principal = with_request(principal, connection)
        self._require_network(principal)
        require_declared_scope(principal, handler)
        if principal.rate is None:  # else it has been counted already
            await self._require_rate(principal)
        connection.state.principal = principal

    def _require_network(self, principal: Principal) -> None:
        """For the networks among a token's limits; `TokenCheck` asks for those of its own column. Raises: Forbidden."""
        try:
            require_network(principal, principal.source)
        except Forbidden as refusal:
            if refusal.instance_code == ELSEWHERE:  # and not because the limits are not understood
                self._uses.note_refusal(principal)
            raise

    async def _require_rate(self, principal: Principal) -> None:
        a_minute = limits_of(principal).requests_a_minute or self._requests_a_minute
        wait_s = await self._rate_limiter.take(principal.name, Rate(requests=a_minute, seconds=60))
        if wait_s:
            raise RateLimited(
                f"More than {a_minute} requests a minute with this token", retry_after_s=math.ceil(wait_s)
            )

    @staticmethod
    def principal(request: Request[Any, Any, Any]) -> Principal:
        principal: Principal = request.state.principal
        return principal
