"""Proof of work for the next block of an account: searched once, in advance where possible, and stored."""

import asyncio
from dataclasses import dataclass

import structlog
from sqlalchemy import update

from strongroom.atto import tables
from strongroom.atto.following.node_clock import NodeClock
from strongroom.atto.gateway import WorkSource
from strongroom.atto.protocol import Address, Network
from strongroom.core.clock import Clock, Entropy
from strongroom.core.runtime.background import Background
from strongroom.core.runtime.backoff import Backoff
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.runtime.work_health import WorkHealth
from strongroom.core.storage.database import Database

log = structlog.get_logger(__name__)

PREPARING_AT_ONCE = 16


@dataclass(slots=True)
class _Search:
    task: asyncio.Task[bytes]
    wanted: bool = False
    """A block waits for it: then storing it would be in vain."""


class WorkCache:
    """One search for a target at a time, however many ask for it."""

    def __init__(
        self,
        *,
        source: WorkSource,
        database: Database,
        network: Network,
        node_clock: NodeClock,
        clock: Clock,
        entropy: Entropy,
        background: Background,
        health: WorkHealth,
        metrics: Metrics,
    ) -> None:
        self._source = source
        self._database = database
        self._network = network
        self._node_clock = node_clock
        self._clock = clock
        self._entropy = entropy
        self._background = background
        self._health = health
        self._searches: dict[bytes, _Search] = {}
        self._preparing = asyncio.Semaphore(PREPARING_AT_ONCE)
        self._seconds = metrics.histogram(
            "strongroom_atto_work_seconds", "Duration of searches for proof of work."
        )

    async def work_for(self, target: bytes, timestamp_ms: int) -> bytes:
        """Searches work for a block of this timestamp; tries until found or cancelled."""
        search = self._search(target, timestamp_ms)
        search.wanted = True
        return await asyncio.shield(search.task)

    def prepare(self, address: Address, target: bytes) -> None:
        """Searches in the background and stores what it finds for the account's next block."""
        self._background.start(self._prepare(address, target))

    async def _prepare(self, address: Address, target: bytes) -> None:
        async with self._preparing:
            search = self._search(target, self._node_clock.now_ms())
            work = await asyncio.shield(search.task)
        if search.wanted:
            return  # a block is already being built with it
        columns = tables.chain.c
        statement = (
            update(tables.chain)
            .where(columns.address == address.path, columns.frontier == target)
            .values(work_target=target, work=work)
        )
        await self._database.write(lambda connection: connection.execute(statement))

    def _search(self, target: bytes, timestamp_ms: int) -> _Search:
        search = self._searches.get(target)
        if search is None:
            search = self._searches[target] = _Search(
                self._background.start(self._persist(target, timestamp_ms))
            )
            search.task.add_done_callback(lambda _: self._searches.pop(target, None))
        return search

    async def _persist(self, target: bytes, timestamp_ms: int) -> bytes:
        """The year decides how hard it is; a block ahead of its time may belong to the next one."""
        backoff = Backoff(self._clock, self._entropy, first_s=0.2, cap_s=10)
        while True:
            started_s = self._clock.monotonic_s()
            try:
                moment_ms = max(timestamp_ms, self._node_clock.now_ms())
                work = await self._source.work(self._network, moment_ms, target)
            except Exception as error:  # noqa: BLE001 - whatever it was, the block waits for its work all the same
                self._health.failed(error)
                await backoff.wait()
                continue
            self._health.succeeded()
            self._seconds.observe(self._clock.monotonic_s() - started_s)
            return work
