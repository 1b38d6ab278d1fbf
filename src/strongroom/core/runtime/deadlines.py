"""Time limits of requests that wait for a node. All limits end together when the process is about to stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from strongroom.core.errors import OutcomeUnknown


class Deadlines:
    """The time limits of one part of the service. `end` is called before the listeners stop, so that callers get an answer."""

    def __init__(self) -> None:
        self._running: set[asyncio.Timeout] = set()
        self._is_over = False

    @asynccontextmanager
    async def limit(self, seconds: float) -> AsyncIterator[None]:
        """Ends the block when the time, or everything, is over.

        Raises:
            TimeoutError: the time is over, and nothing is left under way.
            OutcomeUnknown: the time is over, and what it interrupted goes on, as that says in the cause of its CancelledError.
        """
        try:
            async with asyncio.timeout(0 if self._is_over else seconds) as running:
                self._running.add(running)
                try:
                    yield
                finally:
                    self._running.discard(running)
        except TimeoutError as over:
            left_under_way = None if over.__cause__ is None else over.__cause__.__cause__
            if isinstance(left_under_way, OutcomeUnknown):
                raise left_under_way from None
            raise

    def end(self) -> None:
        """Ends all running limits now, and every later one as soon as it starts."""
        self._is_over = True
        now_s = asyncio.get_running_loop().time()
        for running in self._running:
            if not running.expired():
                running.reschedule(now_s)
