"""Time and randomness. No other module reads the system clock or its entropy, so that tests can control both."""

import asyncio
import random
import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Wall time for records, monotonic time for durations, and `sleep` to wait."""

    def now_ms(self) -> int: ...
    def monotonic_s(self) -> float: ...
    async def sleep(self, seconds: float) -> None: ...


class Entropy(Protocol):
    """Randomness: `token` for secrets and ids, `uniform` for jitter only."""

    def token(self, size: int) -> bytes: ...
    def uniform(self, low: float, high: float) -> float: ...


class SystemClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SystemEntropy:
    def token(self, size: int) -> bytes:
        return secrets.token_bytes(size)

    def uniform(self, low: float, high: float) -> float:
        return random.uniform(low, high)


async def sleep_unless(event: asyncio.Event, clock: Clock, seconds: float) -> None:
    """Sleeps for `seconds` or until the event is set, whichever comes first; then clears the event."""
    sleeping = asyncio.ensure_future(clock.sleep(seconds))
    waking = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({sleeping, waking}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in (sleeping, waking):
            one.cancel()
        await asyncio.gather(sleeping, waking, return_exceptions=True)
    event.clear()


def iso_instant(timestamp_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds, for example `2026-11-21T08:57:00.123Z`."""
    moment = EPOCH + timedelta(milliseconds=timestamp_ms)  # exact; a float of seconds would be rounded
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_instant(text: str) -> int:
    """Milliseconds of an RFC 3339 moment, such as `2026-11-21T08:57:00Z`; a day alone is its first moment in UTC.

    Raises:
        ValueError: it is none, or has no zone.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is not None and len(text) == len("2026-11-21"):
        moment = moment.replace(tzinfo=UTC)
    if moment is None or moment.tzinfo is None:
        raise ValueError(
            f"must be a moment such as 2026-11-21T08:57:00Z or a day such as 2026-11-21, not {text[:40]!r}"
        )
    return (moment - EPOCH) // timedelta(milliseconds=1)
