"""Limits how often each name may make a request, counted over all processes.

A process takes some requests ahead of time from the bucket that all processes share, one in twenty of the rate's, and counts
them down in memory. So most requests cost no look at the store. What that costs in exactness: of each name, a process may hold so
many requests that others miss, or let them pass later. So at any time, n processes together let at most n/20 more pass than the
rate allows, and never more on average.

While the store does not answer, each process counts alone: a caller who reaches n processes gets n times the rate then. To stop
everybody instead would make the store's absence an outage, and what protects money, the windows of rules, is counted elsewhere.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from strongroom.core.clock import Clock
from strongroom.core.coordination.rate_store import RateStore
from strongroom.core.coordination.rates import Rate
from strongroom.core.errors import StrongroomError
from strongroom.core.runtime.work_health import WorkHealth

MAX_NAMES = 10_000
SHARE = 20
ANSWER_S = 3.0
"""A store that takes longer counts as away: requests wait for it."""
AWAY_S = 5.0
"""The pause before a store that is away is asked again."""


@dataclass(slots=True)
class _Ahead:
    """What this process holds of one name."""

    rate: Rate
    left: int = 0
    empty_until_s: float = 0.0
    """Nothing can be taken from the shared bucket before then."""
    taking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def spend(self) -> bool:
        """Whether there was one."""
        had = self.left > 0
        self.left -= had
        return had


class RateLimiter:
    """Allows a rate's requests at once, and as many in its time on average.

    With more than `MAX_NAMES` names, the oldest is forgotten, and what the process held of it with it.
    """

    def __init__(
        self,
        clock: Clock,
        store: RateStore | None = None,
        health: WorkHealth | None = None,
        *,
        answer_s: float = ANSWER_S,
    ) -> None:
        """Without a store, this process counts alone."""
        self._answer_s = answer_s
        self._clock = clock
        self._store = store
        self._health = health
        self._alone = _Buckets(clock)
        self._names: OrderedDict[str, _Ahead] = OrderedDict()
        self._away_until_s = float("-inf")

    async def take(self, name: str, rate: Rate, *, is_stranger: bool = False) -> float:
        """Takes one request from the bucket and returns 0; if it is empty, returns the seconds until the next one.

        Of a stranger, whose name costs nothing, such as an address, the first twentieth of the rate's requests passes without a
        look at the store: a crowd of strangers with one request each must not cost a write each.
        """
        if self._store is None or self._clock.monotonic_s() < self._away_until_s:
            return self._alone.take(name, rate)
        ahead = self._ahead(name, rate, is_stranger=is_stranger)
        if ahead.spend():
            return 0.0
        async with ahead.taking:
            if ahead.spend():  # another request has taken some meanwhile
                return 0.0
            if self._clock.monotonic_s() < self._away_until_s:  # it has found the store away
                return self._alone.take(name, rate)
            wait_s = ahead.empty_until_s - self._clock.monotonic_s()
            if wait_s > 0:
                return wait_s
            return await self._take_ahead(self._store, name, ahead)

    async def _take_ahead(self, store: RateStore, name: str, ahead: _Ahead) -> float:
        rate = ahead.rate
        try:
            async with asyncio.timeout(self._answer_s):
                granted = await store.take(name, rate, wanted=max(1, rate.requests // SHARE))
        except (StrongroomError, TimeoutError) as error:
            self._away_until_s = self._clock.monotonic_s() + AWAY_S
            if self._health is not None:
                self._health.failed(error)
            return self._alone.take(name, rate)
        if self._health is not None:
            self._health.succeeded()
        if granted.requests:
            ahead.left = granted.requests - 1
            return 0.0
        ahead.empty_until_s = self._clock.monotonic_s() + granted.wait_s
        return granted.wait_s

    def _ahead(self, name: str, rate: Rate, *, is_stranger: bool) -> _Ahead:
        found = self._names.pop(name, None)
        if found is None or found.rate != rate:
            found = _Ahead(rate, left=rate.requests // SHARE if is_stranger else 0)
        self._names[name] = found
        if len(self._names) > MAX_NAMES:
            self._names.popitem(last=False)
        return found


class _Buckets:
    """Token buckets of this process alone."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str, rate: Rate) -> float:
        now_s = self._clock.monotonic_s()
        left, since_s = self._buckets.pop(name, (float(rate.requests), now_s))
        left = min(rate.requests, left + (now_s - since_s) * rate.requests / rate.seconds)
        taken = 1 if left >= 1 else 0
        self._buckets[name] = (left - taken, now_s)
        if len(self._buckets) > MAX_NAMES:
            self._buckets.popitem(last=False)
        return 0.0 if taken else (1 - left) * rate.seconds / rate.requests
