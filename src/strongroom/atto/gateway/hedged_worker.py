"""Asks several sources for proof of work: the next one when one is silent or fails. The first answer counts."""

import asyncio
from collections.abc import Sequence

import structlog

from strongroom.atto.gateway import WorkSource, WorkUnavailable
from strongroom.atto.protocol import Network
from strongroom.core.clock import Clock
from strongroom.core.runtime.background import cancel_all

log = structlog.get_logger(__name__)


class HedgedWorker:
    """Asks `sources` in their order, the next one as soon as one fails or has been silent for `hedge_s`.

    The pause before each further source is twice as long, so that a source that is only slow is not asked many
    times over. The first answer counts; the others are cancelled.
    """

    def __init__(self, sources: Sequence[WorkSource], clock: Clock, hedge_s: float) -> None:
        self._sources = tuple(sources)
        self._clock = clock
        self._hedge_s = hedge_s

    async def work(self, network: Network, timestamp_ms: int, target: bytes) -> bytes:
        """As `WorkSource.work`; fails when every source has failed. A source that failed is not asked again in this call."""
        searches: set[asyncio.Future[bytes]] = set()
        failed: set[WorkSource] = set()
        failure = WorkUnavailable("No source of proof of work answers")
        try:
            for number, source in enumerate(self._sources):
                if source in failed:
                    continue
                search = asyncio.ensure_future(source.work(network, timestamp_ms, target))
                searches.add(search)
                try:
                    work = await self._first(searches, self._pause_s(number))
                except WorkUnavailable as error:
                    failed.add(source)
                    failure = error
                    log.warning("a source of proof of work failed", why=error.message)
                else:
                    if work is not None:
                        return work
                    if self._pause_s(number):  # the last one has just been asked
                        log.warning("a source of proof of work is silent", silent=len(searches))
            return await _last(searches, failure)
        finally:
            await cancel_all(searches)

    def _pause_s(self, number: int) -> float:
        """The pause before the next source is asked, in seconds; 0 after the last source."""
        return 0.0 if number == len(self._sources) - 1 else self._hedge_s * 2**number

    async def _first(self, searches: set[asyncio.Future[bytes]], pause_s: float) -> bytes | None:
        """Returns the work of the first search that ends, and removes it from the set; None if none ends in time.

        Raises:
            WorkUnavailable: it failed.
        """
        timer = asyncio.ensure_future(self._clock.sleep(pause_s))
        try:
            waiting: set[asyncio.Future[bytes] | asyncio.Future[None]] = {*searches, timer}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel_all([timer])
        ended = next((search for search in searches if search.done()), None)
        if ended is None:
            return None
        searches.discard(ended)
        return ended.result()


async def _last(searches: set[asyncio.Future[bytes]], failure: WorkUnavailable) -> bytes:
    """Waits for the first search that still finds work.

    Raises:
        WorkUnavailable: no search finds work.
    """
    for search in asyncio.as_completed(searches):
        try:
            return await search
        except WorkUnavailable as error:
            failure = error
    raise failure
