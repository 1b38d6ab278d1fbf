"""The real time, with a calendar that a test may set, and a clock for those who shall not rest for long."""

import asyncio
import time

HURRY = 10.0


class ShiftedClock:
    """`ahead_ms` shifts the wall clock; durations stay true."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class HurriedClock:
    """The same time; pauses are ten times shorter than they were meant, so that retries come soon."""

    def __init__(self, clock: ShiftedClock) -> None:
        self._clock = clock

    def now_ms(self) -> int:
        return self._clock.now_ms()

    def monotonic_s(self) -> float:
        return self._clock.monotonic_s()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds / HURRY)
