"""Who may use the first API: holders of an API token with the right scope, or everybody on loopback where no token is required."""

from typing import Any

from litestar import Request

from strongroom.core.errors import Forbidden, Unauthenticated
from strongroom.core.http.client import credentials_of, with_request
from strongroom.core.http.door import DoorRules, refused_body
from strongroom.core.http.forwarded import TrustedProxies
from strongroom.core.security.access import Principal
from strongroom.core.security.attempts import Identifier
from strongroom.hathor.api.refusal import Refusal, forbidden_route, unauthorized

TAG = "The first API"


class LegacyAccess:
    """Decides whether a request comes in."""

    def __init__(self, gatekeeper: Identifier[Principal], proxies: TrustedProxies, door: DoorRules) -> None:
        """`door`: who may come without a token, where none is required."""
        self._gatekeeper = gatekeeper
        self._proxies = proxies
        self._door = door

    async def admit(self, request: Request[Any, Any, Any], scope: str) -> Principal:
        """Returns who asks. Raises: Refusal: 401, 403 or 415; Forbidden, RateLimited: what its token does not allow."""
        credentials = credentials_of(request, self._proxies)
        try:
            principal = with_request(await self._gatekeeper.identify(credentials), request)
        except Unauthenticated as error:
            raise unauthorized() from error
        try:
            principal.require(scope)
        except Forbidden as error:
            raise forbidden_route() from error
        if credentials.authorization is None:
            refused = self._door.caller(request.scope) or await refused_body(request.scope, request.body)
            if refused is not None:
                raise Refusal(refused.status, refused.code.replace("_", "-"), message=refused.message)
        return principal
