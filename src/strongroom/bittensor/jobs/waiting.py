"""Waits for the outcome of extrinsics, which any process may find out: one query serves all who wait."""

import asyncio
from collections import defaultdict
from collections.abc import Collection

import structlog

from strongroom.bittensor.extrinsics.extrinsic import Extrinsic, State
from strongroom.bittensor.extrinsics.store import load_many
from strongroom.core.clock import Clock, sleep_unless
from strongroom.core.runtime.background import Background
from strongroom.core.runtime.deadlines import Deadlines
from strongroom.core.runtime.fault_text import fault_text
from strongroom.core.storage.database import Database

log = structlog.get_logger(__name__)

POLL_S = 0.5


class OutcomeWaiter:
    """Reads the database twice a second while a request waits, and at once when `changed` is called."""

    def __init__(self, database: Database, clock: Clock, background: Background) -> None:
        self._database = database
        self._clock = clock
        self._background = background
        self._deadlines = Deadlines()
        self._waiting: defaultdict[bytes, set[asyncio.Future[Extrinsic]]] = defaultdict(set)
        self._reached: dict[asyncio.Future[Extrinsic], Collection[State]] = {}
        self._news = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    def changed(self) -> None:
        self._news.set()

    def drain(self) -> None:
        """Answers every request that waits with what is known now, because the process is about to stop."""
        self._deadlines.end()

    async def wait(self, extrinsic: Extrinsic, states: Collection[State], timeout_s: float) -> Extrinsic:
        """Returns the extrinsic once it is dead or in one of the states, or as it was given when the time is over."""
        if extrinsic.state in states or extrinsic.state.is_dead:
            return extrinsic
        future: asyncio.Future[Extrinsic] = asyncio.get_running_loop().create_future()
        self._waiting[extrinsic.hash].add(future)
        self._reached[future] = states
        if self._looking is None or self._looking.done():
            self._looking = self._background.start(self._look())
        try:
            async with self._deadlines.limit(timeout_s):
                return await future
        except TimeoutError:
            return extrinsic
        finally:
            self._reached.pop(future)
            self._waiting[extrinsic.hash].discard(future)
            if not self._waiting[extrinsic.hash]:
                del self._waiting[extrinsic.hash]

    async def _look(self) -> None:
        while self._waiting:
            hashes = list(self._waiting)
            try:
                found = await self._database.read(lambda connection: load_many(connection, hashes))  # noqa: B023
            except Exception as error:  # noqa: BLE001 - the next look answers
                log.warning("outcomes not looked up", why=fault_text(error))
                found = []
            for extrinsic in found:
                for future in self._waiting.get(extrinsic.hash, ()):
                    is_reached = extrinsic.state.is_dead or extrinsic.state in self._reached[future]
                    if is_reached and not future.done():
                        future.set_result(extrinsic)
            await sleep_unless(self._news, self._clock, POLL_S)
