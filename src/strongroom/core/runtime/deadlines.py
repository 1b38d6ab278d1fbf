"""Time limits of calls that wait for the outside. All of them end together when the process is told to stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Deadlines:
    """The time limits of one part. Call `end` before the listeners stop, so that waiting callers get an answer."""

    def __init__(self) -> None:
        self._running: set[asyncio.Timeout] = set()
        self._is_over = False

    @asynccontextmanager
    async def limit(self, seconds: float) -> AsyncIterator[None]:
        """Raises TimeoutError in the block when the time, or everything, is over."""
        async with asyncio.timeout(0 if self._is_over else seconds) as running:
            self._running.add(running)
            try:
                yield
            finally:
                self._running.discard(running)

    def end(self) -> None:
        """Ends every limit now, and each later one at its start."""
        self._is_over = True
        now_s = asyncio.get_running_loop().time()
        for running in self._running:
            if not running.expired():
                running.reschedule(now_s)
