"""Searches proof of work on this machine."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from strongroom.atto.gateway import WorkUnavailable
from strongroom.atto.gateway.work_engines import Engine, StopFlag, load_engine
from strongroom.atto.protocol import U64_MAX, InvalidWork, Network, threshold, verify_work
from strongroom.atto.protocol.fields import WORK_SIZE

QUEUE_SIZE = 64


class LocalWorker:
    """Searches for one request at a time with all threads; other requests wait in their order.

    Cancelling the task that waits for `work` ends its search within a millisecond or so.
    """

    def __init__(
        self,
        threads: int,
        *,
        engine: Engine | None = None,
        starting_nonce: Callable[[], int] = int,
        queue_size: int = QUEUE_SIZE,
    ) -> None:
        """`starting_nonce` is the first nonce of a search, by default 0; `queue_size` limits the number of unfinished requests."""
        self._engine = engine or load_engine()
        self._threads = threads if self._engine.is_parallel else 1
        self._executor = ThreadPoolExecutor(self._threads, thread_name_prefix="atto-work")
        self._starting_nonce = starting_nonce
        self._turn = asyncio.Lock()
        self._queue_size = queue_size
        self._unfinished = 0

    @property
    def engine(self) -> str:
        """`native`, or `hashlib` if the native library was not built."""
        return self._engine.name

    async def work(self, network: Network, timestamp_ms: int, target: bytes) -> bytes:
        """As `WorkSource.work`. It has no time limit; the caller sets one.

        Raises:
            WorkUnavailable: the queue is full, the year of the timestamp has no work, or the engine is broken.
        """
        if self._unfinished >= self._queue_size:
            raise WorkUnavailable("Too many requests wait for work on this machine")
        self._unfinished += 1
        try:
            async with self._turn:
                work = await self._search(target, threshold(network, timestamp_ms))
            verify_work(network, timestamp_ms, target, work)
        except InvalidWork as error:
            raise WorkUnavailable(f"This machine finds no work: {error}") from error
        finally:
            self._unfinished -= 1
        return work

    async def close(self) -> None:
        """Ends the threads; called when no request waits for work any more."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _search(self, target: bytes, highest: int) -> bytes:
        loop = asyncio.get_running_loop()
        start, stop = self._starting_nonce(), StopFlag(0)
        # The threads' first nonces are so far apart that no thread reaches another one's nonces.
        starts = [start + thread * (U64_MAX // self._threads) & U64_MAX for thread in range(self._threads)]
        searches = [
            loop.run_in_executor(self._executor, self._engine.search, target, highest, nonce, stop)
            for nonce in starts
        ]
        try:
            found = await asyncio.gather(*searches)
        finally:
            stop.value = 1
        nonce = next(nonce for nonce in found if nonce is not None)
        return nonce.to_bytes(WORK_SIZE, "little")
