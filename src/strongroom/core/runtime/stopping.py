"""How a process ends: the first signal has it drain, a second one ends it at once."""

import asyncio
import signal
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """Waits for the signal that ends the process, and then until proxies know that it ends."""

    def __init__(self, drain: Callable[[], None] | None = None, *, drain_s: float = 0.0) -> None:
        """`drain` is called at the first signal, and says to others that they should send nothing more."""
        self._drain = drain
        self._drain_s = drain_s
        self._asked = asyncio.Event()
        self._hurried = asyncio.Event()

    def listen(self) -> None:
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.ask)

    def ask(self) -> None:
        if self._asked.is_set():
            self._hurried.set()
        self.begin()

    def begin(self) -> None:
        """From now on the process ends, whoever asked for it. More than once is once."""
        if not self._asked.is_set() and self._drain is not None:
            self._drain()
        self._asked.set()

    async def wait(self) -> None:
        await self._asked.wait()

    async def drained(self) -> None:
        """Returns when the time for draining is over, or at a second signal."""
        if not self._drain_s:
            return
        log.info("draining", seconds=self._drain_s)
        try:
            async with asyncio.timeout(self._drain_s):
                await self._hurried.wait()
        except TimeoutError:
            return
