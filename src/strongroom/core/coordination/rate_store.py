"""Where processes share the buckets of rates: in Redis or in the ledger's database.

Of a bucket, the moment when it is full again is stored, in microseconds: each request that is taken moves it on, and nothing has to
be written while the bucket fills. The time is that of the process that asks, so where clocks differ by some seconds, so many
seconds' worth of requests more or fewer may pass once.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection, bindparam, delete, select, update

from strongroom.core.clock import Clock
from strongroom.core.coordination.rates import Rate
from strongroom.core.environment import Secret
from strongroom.core.errors import Unavailable
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database, insert_ignore, locking

US = 1_000_000
ANSWER_S = 3.0
PREFIX = "strongroom:rate:"
MAX_BEYOND = 10_000

_ROW = locking(select(tables.rate.c.full_at_us).where(tables.rate.c.id == bindparam("rate_id")))
_MOVE = (
    update(tables.rate).where(tables.rate.c.id == bindparam("rate_id")).values(full_at_us=bindparam("moved"))
)

# As `grant` below. Beside the moment stands the rate's time: of a bucket of another rate, the same share is used. Numbers of Lua are exact up to 2^53, and these are below it.
_SCRIPT = """
local now, window, requests, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local full, old = string.match(redis.call('GET', KEYS[1]) or '0', '^(%S+) ?(%S*)$')
old = tonumber(old) or window
local used = math.min(math.max(tonumber(full) - now, 0), old)
local function store(moved)
  redis.call('SET', KEYS[1], string.format('%.0f %.0f', now + moved, window), 'PX', math.ceil(moved / 1000) + 1000)
end
if old ~= window then
  used = math.floor(used * window / old)
  store(used)
end
local granted = math.min(math.floor((window - used) * requests / window), wanted)
if granted == 0 then
  return {0, used - window + math.ceil(window / requests)}
end
store(used + math.floor(granted * window / requests))
return {granted, 0}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What was taken from a bucket."""

    requests: int
    wait_s: float = 0.0
    """Until the next one, if there was none."""


class RateStore(Protocol):
    """The buckets that all processes of a ledger share."""

    async def take(self, name: str, rate: Rate, wanted: int) -> Grant:
        """Takes up to `wanted` requests from the name's bucket.

        Raises:
            StrongroomError: the store does not answer.
        """


def grant(full_at_us: int, now_us: int, rate: Rate, wanted: int) -> tuple[Grant, int]:
    """What can be taken, and when the bucket is full again after it.

    A moment beyond the rate's time comes from a clock that was set back since; the bucket is empty then.
    """
    window_us = rate.seconds * US
    used_us = min(max(full_at_us - now_us, 0), window_us)
    granted = min((window_us - used_us) * rate.requests // window_us, wanted)
    if not granted:
        wait_us = used_us - window_us - (-window_us // rate.requests)
        return Grant(requests=0, wait_s=wait_us / US), full_at_us
    return Grant(requests=granted), now_us + used_us + granted * window_us // rate.requests


class DatabaseRates:
    """One row for each name.

    A row whose moment lies beyond the rate's time is of a clock that was set back, or of a longer rate. If nobody has moved it for the
    rate's time, its bucket is full, as Redis forgets such a key: nobody waits until the clock comes there again.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._beyond: OrderedDict[bytes, tuple[int, float]] = OrderedDict()
        """Such moments, and since when (monotonic) they stand."""

    async def take(self, name: str, rate: Rate, wanted: int) -> Grant:
        key = {"rate_id": hashlib.sha256(name.encode()).digest()}

        def work(connection: Connection) -> Grant:
            full_at_us = connection.scalar(_ROW, key)
            if full_at_us is None:
                insert_ignore(connection, tables.rate, [{"id": key["rate_id"], "full_at_us": 0}])
                full_at_us = connection.scalar(_ROW, key) or 0
            now_us = self._clock.now_ms() * 1000
            if self._is_over(key["rate_id"], full_at_us, now_us, rate):
                full_at_us = now_us
            granted, moved = grant(full_at_us, now_us, rate, wanted)
            if granted.requests:
                connection.execute(_MOVE, {**key, "moved": moved})
            return granted

        return await self._database.write(work)

    def _is_over(self, bucket: bytes, full_at_us: int, now_us: int, rate: Rate) -> bool:
        """Whether nobody has moved a moment beyond the rate's time for that long."""
        if full_at_us - now_us <= rate.seconds * US:
            self._beyond.pop(bucket, None)
            return False
        now_s = self._clock.monotonic_s()
        seen_us, since_s = self._beyond.get(bucket, (0, now_s))
        if seen_us == full_at_us:
            return now_s - since_s >= rate.seconds
        self._beyond[bucket] = full_at_us, now_s
        if len(self._beyond) > MAX_BEYOND:
            self._beyond.popitem(last=False)
        return False

    async def purge(self) -> None:
        """Deletes the rows of buckets that are full."""
        full = delete(tables.rate).where(tables.rate.c.full_at_us <= self._clock.now_ms() * 1000)
        await self._database.write(lambda connection: connection.execute(full).rowcount)


class RedisRates:
    """One key for each name, which ends when its bucket is full."""

    def __init__(self, url: Secret, ledger: str, clock: Clock, *, answer_s: float = ANSWER_S) -> None:
        # Importing it takes a twelfth of the start, so only processes with Redis do.
        from redis.asyncio import Redis  # noqa: PLC0415
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415

        self._redis: Redis = Redis.from_url(
            url.reveal(),
            retry=Retry(NoBackoff(), 0),
            socket_timeout=answer_s,
            socket_connect_timeout=answer_s,
        )
        self._script = self._redis.register_script(_SCRIPT)
        self._prefix = f"{PREFIX}{ledger}:"
        self._clock = clock

    async def take(self, name: str, rate: Rate, wanted: int) -> Grant:
        from redis.exceptions import RedisError  # noqa: PLC0415

        key = self._prefix + hashlib.sha256(name.encode()).hexdigest()
        arguments = (self._clock.now_ms() * 1000, rate.seconds * US, rate.requests, wanted)
        try:
            answer: Any = await self._script(keys=[key], args=arguments)
        except (RedisError, OSError, TimeoutError) as error:
            raise Unavailable(f"Redis does not answer: {type(error).__name__}") from error
        requests, wait_us = answer
        return Grant(requests=int(requests), wait_s=int(wait_us) / US)

    async def close(self) -> None:
        await self._redis.aclose()
