"""Which client asks, and whether it may yet: the limit on routes that cost a signature check or a wallet."""

from strongroom.core.http.forwarded import TrustedProxies
from strongroom.hathor.api.limits import RateLimit
from strongroom.hathor.api.requests import Request


class Clients:
    def __init__(self, limit: RateLimit, proxies: TrustedProxies) -> None:
        self._limit = limit
        self._proxies = proxies

    def take(self, request: Request) -> None:
        """Raises: Refusal: 429 `too-many-requests`."""
        peer = request.client.host if request.client else ""
        self._limit.take(self._proxies.client(peer, request.headers.getall("x-forwarded-for", [])))
