"""How often one client may ask for a token or a wallet: a bucket for each address, in this process."""

from collections import OrderedDict

from strongroom.core.clock import Clock
from strongroom.hathor.api.refusal import Refusal

MOST_CLIENTS = 10_000


class RateLimit:
    """`burst` requests at once, `burst` in a minute on average. A client forgotten for others starts anew."""

    def __init__(self, clock: Clock, burst: int) -> None:
        self._clock = clock
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> None:
        """Raises: Refusal: 429 `too-many-requests`."""
        now_s = self._clock.monotonic_s()
        left, since_s = self._buckets.pop(client, (float(self._burst), now_s))
        left = min(self._burst, left + (now_s - since_s) * self._burst / 60)
        self._buckets[client] = (max(left - 1, 0.0) if left >= 1 else left, now_s)
        if len(self._buckets) > MOST_CLIENTS:
            self._buckets.popitem(last=False)
        if left < 1:
            raise Refusal(429, "too-many-requests")
