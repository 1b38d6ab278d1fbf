"""Time and randomness that a test controls."""

import asyncio
import contextlib
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

START_MS = 1_800_000_000_000
PATIENCE_S = 60.0
ROUNDING_S = 1e-9
"""Sums of parts of seconds are a little off."""


@dataclass(slots=True, eq=False)
class _Sleeper:
    until_s: float
    awake: asyncio.Future[None]

    def wake(self) -> None:
        """From any thread."""
        with contextlib.suppress(RuntimeError):  # its loop is closed
            self.awake.get_loop().call_soon_threadsafe(self._end)

    def _end(self) -> None:
        if not self.awake.done():
            self.awake.set_result(None)


class ManualClock:
    """A clock whose time changes only with `advance`. Tasks of any thread's event loop may sleep on it."""

    def __init__(self, start_ms: int = START_MS) -> None:
        self._start_ms = start_ms
        self._elapsed_s = 0.0
        self._sleepers: list[_Sleeper] = []
        self._changed = threading.Condition(threading.RLock())
        self._waiting: set[asyncio.Future[None]] = set()

    def now_ms(self) -> int:
        return self._start_ms + round(self._elapsed_s * 1000)

    def monotonic_s(self) -> float:
        return self._elapsed_s

    async def sleep(self, seconds: float) -> None:
        with self._changed:
            sleeper = _Sleeper(self._elapsed_s + seconds, asyncio.get_running_loop().create_future())
            self._sleepers.append(sleeper)
            self._changed.notify_all()
            for waiting in self._waiting:
                _Sleeper(0, waiting).wake()
        try:
            await sleeper.awake
        finally:
            with self._changed:
                if sleeper in self._sleepers:
                    self._sleepers.remove(sleeper)

    def advance(self, seconds: float) -> None:
        """Advances the time and wakes the tasks that slept until then; they run when the caller next awaits."""
        with self._changed:
            self._elapsed_s += seconds
            reached_s = self._elapsed_s + ROUNDING_S
            for sleeper in [sleeper for sleeper in self._sleepers if sleeper.until_s <= reached_s]:
                self._sleepers.remove(sleeper)
                sleeper.wake()

    async def sleepers(self, count: int = 1) -> list[float]:
        """Waits until at least `count` tasks sleep; returns for how many seconds more each does, shortest first."""
        return await self._until(lambda remaining_s: len(remaining_s) >= count)

    async def sleeping_for(self, seconds: float) -> None:
        """Waits until a task sleeps for `seconds` more."""
        await self._until(lambda remaining_s: any(abs(each - seconds) < 1e-6 for each in remaining_s))

    def hold_until(self, enough: Callable[[], bool]) -> None:
        """Blocks this thread, and the event loop that it runs, until `enough` is true; asks after each new sleeper."""
        with self._changed:
            assert self._changed.wait_for(enough, PATIENCE_S)

    def remaining_s(self) -> list[float]:
        """For how many seconds more each task sleeps, shortest first."""
        with self._changed:
            return sorted(each.until_s - self._elapsed_s for each in self._sleepers)

    async def _until(self, enough: Callable[[list[float]], bool]) -> list[float]:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with self._changed:
                    if enough(remaining_s := self.remaining_s()):
                        return remaining_s
                    arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    self._waiting.add(arrived)
                try:
                    await arrived
                finally:
                    with self._changed:
                        self._waiting.discard(arrived)


class SeededEntropy:
    """The same bytes in every run."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def token(self, size: int) -> bytes:
        return self._random.randbytes(size)

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)
