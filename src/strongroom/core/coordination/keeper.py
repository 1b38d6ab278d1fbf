"""A thread with its own event loop that renews leases, so that a renewal never waits for the process's event loop.

A process whose event loop is busy, for example with a large answer, is alive and keeps its leases. If the whole process is
stopped, this thread stops too, and the leases expire. If the event loop is silent for `MAX_SILENCE_S`, it counts as hung, and its
leases are no longer renewed.
"""

import asyncio
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import structlog

from strongroom.core.clock import Clock
from strongroom.core.storage.database import Database

log = structlog.get_logger(__name__)

T = TypeVar("T")

MAX_SILENCE_S = 60.0
LOGGED_S = 4.0
"""A loop that is silent for longer is logged."""
CLOSE_S = 1.0
INNERMOST_FRAMES = 6


class Pulse:
    """Checks from another thread whether an event loop still runs its callbacks."""

    def __init__(self, clock: Clock) -> None:
        """Watches the event loop in which this is called."""
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._asked_s: float | None = None
        self._is_logged = False

    def is_hung(self) -> bool:
        """Whether the loop is closed or has been silent for too long. Otherwise asks the loop to answer."""
        if self._asked_s is None:
            self._asked_s = self._clock.monotonic_s()
            try:
                self._loop.call_soon_threadsafe(self._answer)
            except RuntimeError:  # closed
                return True
            return False
        silent_s = self._clock.monotonic_s() - self._asked_s
        if silent_s >= LOGGED_S and not self._is_logged:
            self._is_logged = True
            log.warning("the event loop is busy", seconds=round(silent_s, 1), at=self._place())
        return silent_s >= MAX_SILENCE_S

    def _answer(self) -> None:
        if self._is_logged and self._asked_s is not None:
            busy_s = self._clock.monotonic_s() - self._asked_s
            log.warning("the event loop runs again", after_seconds=round(busy_s, 1))
        self._asked_s = None
        self._is_logged = False

    def _place(self) -> str:
        """The innermost functions that the loop's thread is in, without any values."""
        frame = sys._current_frames().get(self._thread)  # noqa: SLF001 - documented, and the only way
        stack = traceback.extract_stack(frame)[-INNERMOST_FRAMES:]
        return " > ".join(
            f"{entry.filename.rpartition('/')[2]}:{entry.lineno} {entry.name}" for entry in stack
        )


class Keeper:
    """Runs the thread while at least one caller is inside `running`. The thread has its own access to the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._thread: _Thread | None = None
        self._users = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self._users += 1
        if self._thread is None:
            self._thread = _Thread(self._database.beside())
        try:
            yield
        finally:
            self._users -= 1
            if self._users == 0:
                thread, self._thread = self._thread, None
                await thread.end()

    async def run(self, work: Callable[[Database], Awaitable[T]]) -> T:
        """Runs `work` in the thread's event loop. If the caller is cancelled, `work` is cancelled too."""
        if self._thread is None:
            raise RuntimeError("the thread is not running")
        return await self._thread.run(work)


async def _close(database: Database) -> None:
    """Closes the thread's database without waiting for a renewal that hangs: the lease expires by itself."""
    await database.close(CLOSE_S)


class _Thread:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._turn, name="lease-keeper", daemon=True)
        self._thread.start()

    async def run(self, work: Callable[[Database], Awaitable[T]]) -> T:
        async def call() -> T:
            return await work(self._database)

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call(), self._loop))

    async def end(self) -> None:
        await self.run(_close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)

    def _turn(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()
