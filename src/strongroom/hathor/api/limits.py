"""How often one client may ask for a token or a wallet."""

from strongroom.core.clock import Clock
from strongroom.core.http.rate_limiter import RateLimiter
from strongroom.hathor.api.refusal import Refusal


class RateLimit:
    """`burst` requests at once, `burst` in a minute on average."""

    def __init__(self, clock: Clock, burst: int) -> None:
        self._rate_limiter = RateLimiter(clock)
        self._burst = burst

    def take(self, client: str) -> None:
        """Raises: Refusal: 429 `too-many-requests`."""
        if self._rate_limiter.take(client, self._burst):
            raise Refusal(429, "too-many-requests")
