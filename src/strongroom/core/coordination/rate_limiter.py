"""Limits how often each name may make a request, with token buckets in this process."""

from collections import OrderedDict

from strongroom.core.clock import Clock
from strongroom.core.coordination.rates import Rate

MAX_NAMES = 10_000


class RateLimiter:
    """Allows a rate's requests at once, and as many in its time on average.

    With more than `MAX_NAMES` names, the oldest is forgotten and starts with a full bucket again.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str, rate: Rate) -> float:
        """Takes one request from the bucket and returns 0; if it is empty, returns the seconds until the next one."""
        now_s = self._clock.monotonic_s()
        left, since_s = self._buckets.pop(name, (float(rate.requests), now_s))
        left = min(rate.requests, left + (now_s - since_s) * rate.requests / rate.seconds)
        taken = 1 if left >= 1 else 0
        self._buckets[name] = (left - taken, now_s)
        if len(self._buckets) > MAX_NAMES:
            self._buckets.popitem(last=False)
        return 0.0 if taken else (1 - left) * rate.seconds / rate.requests
