"""Time and randomness that a test controls."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

START_MS = 1_800_000_000_000
PATIENCE_S = 10.0


@dataclass(slots=True, eq=False)
class _Sleeper:
    until_s: float
    awake: asyncio.Future[None]


class ManualClock:
    """Time stands still until `advance` moves it. `now_ms` may be read from any thread."""

    def __init__(self, start_ms: int = START_MS) -> None:
        self._start_ms = start_ms
        self._elapsed_s = 0.0
        self._sleepers: list[_Sleeper] = []
        self._arrived = asyncio.Event()

    def now_ms(self) -> int:
        return self._start_ms + round(self._elapsed_s * 1000)

    def monotonic_s(self) -> float:
        return self._elapsed_s

    async def sleep(self, seconds: float) -> None:
        sleeper = _Sleeper(self._elapsed_s + seconds, asyncio.get_running_loop().create_future())
        self._sleepers.append(sleeper)
        self._arrived.set()
        try:
            await sleeper.awake
        finally:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)

    def advance(self, seconds: float) -> None:
        """Moves time on and wakes whoever slept until then; they run when the caller next awaits."""
        self._elapsed_s += seconds
        for sleeper in [sleeper for sleeper in self._sleepers if sleeper.until_s <= self._elapsed_s]:
            self._sleepers.remove(sleeper)
            if not sleeper.awake.done():
                sleeper.awake.set_result(None)

    async def sleepers(self, count: int = 1) -> list[float]:
        """Waits until at least `count` tasks sleep; returns for how many seconds more each does, shortest first."""
        return await self._until(lambda remaining_s: len(remaining_s) >= count)

    async def sleeping_for(self, seconds: float) -> None:
        """Waits until a task sleeps for `seconds` more."""
        await self._until(lambda remaining_s: any(abs(each - seconds) < 1e-6 for each in remaining_s))

    async def _until(self, enough: Callable[[list[float]], bool]) -> list[float]:
        async with asyncio.timeout(PATIENCE_S):
            while not enough(remaining_s := [each.until_s - self._elapsed_s for each in self._sleepers]):
                self._arrived.clear()
                await self._arrived.wait()
        return sorted(remaining_s)


class SeededEntropy:
    """The same bytes in every run."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def token(self, size: int) -> bytes:
        return self._random.randbytes(size)

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)
