"""A thread with an event loop of its own, for renewals that must not wait for the process's event loop.

A process whose event loop is busy, with a large answer or with somebody's endless request, is alive: what it leads must not
go to another. A process that is stopped as a whole stops this thread too, and its leases lapse. An event loop that is silent
for `MAX_SILENCE_S` is taken for hung: nothing is renewed for it any more.
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
WORTH_A_LINE_S = 4.0
CLOSE_S = 1.0
INNERMOST_FRAMES = 6


class Pulse:
    """Whether an event loop still turns. It is asked from another thread."""

    def __init__(self, clock: Clock) -> None:
        """Watches the event loop that runs here."""
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._asked_s: float | None = None
        self._is_told = False

    def is_hung(self) -> bool:
        """Whether the loop has been silent for too long, or is closed; asks it again otherwise."""
        if self._asked_s is None:
            self._asked_s = self._clock.monotonic_s()
            try:
                self._loop.call_soon_threadsafe(self._answer)
            except RuntimeError:  # closed
                return True
            return False
        silent_s = self._clock.monotonic_s() - self._asked_s
        if silent_s >= WORTH_A_LINE_S and not self._is_told:
            self._is_told = True
            log.warning("the event loop is busy", seconds=round(silent_s, 1), at=self._place())
        return silent_s >= MAX_SILENCE_S

    def _answer(self) -> None:
        if self._is_told and self._asked_s is not None:
            busy_s = self._clock.monotonic_s() - self._asked_s
            log.warning("the event loop turns again", after_seconds=round(busy_s, 1))
        self._asked_s = None
        self._is_told = False

    def _place(self) -> str:
        """Where the loop's thread is: names of functions, no values."""
        frame = sys._current_frames().get(self._thread)  # noqa: SLF001 - documented; there is no other way
        stack = traceback.extract_stack(frame)[-INNERMOST_FRAMES:]
        return " > ".join(
            f"{entry.filename.rpartition('/')[2]}:{entry.lineno} {entry.name}" for entry in stack
        )


class Keeper:
    """The thread. It runs while somebody is inside `running`, with its own way to the database."""

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
        """Runs `work` in the thread's event loop; a cancellation reaches it there."""
        if self._thread is None:
            raise RuntimeError("the thread does not run")
        return await self._thread.run(work)


async def _close(database: Database) -> None:
    """Ends the thread without waiting for a renewal that hangs: the lease expires by itself."""
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
