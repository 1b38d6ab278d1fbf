"""Keeps the node's endless streams open for a growing set of addresses; reconnects with backoff and jitter."""

import asyncio
import itertools
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from strongroom.atto.protocol import Address
from strongroom.atto.wallets.watched_addresses import MonitoredAddresses
from strongroom.core.chunks import chunks
from strongroom.core.clock import Clock, Entropy
from strongroom.core.coordination.loops import LoopContext
from strongroom.core.runtime.backoff import Backoff
from strongroom.core.runtime.fault_text import fault_text
from strongroom.core.runtime.work_health import WorkHealth

log = structlog.get_logger(__name__)

T = TypeVar("T")

# Every stream is opened again from time to time: the node then sends everything again, also what was missed.
MAX_S = 600.0
OPEN_AFTER_S = 6.0  # longer than a connection may take to fail
MAX_SIDE_STREAMS = 8
ADDRESSES_A_STREAM = 1000


class AddressStream(Generic[T]):
    """Streams of at most a thousand addresses each, because a node refuses request bodies above 256 KiB.

    New addresses get a stream of their own, a side stream. When there are many side streams, they are merged. A full stream
    stays open, so that new addresses never interrupt it.

    `handle` gets one item at a time. An error that it raises is a defect: it is logged, and the stream continues.
    """

    def __init__(
        self,
        *,
        name: str,
        open_stream: Callable[[Sequence[Address]], AsyncGenerator[T, None]],
        handle: Callable[[T], Awaitable[None]],
        monitored: MonitoredAddresses,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._name = name
        self._open = open_stream
        self._handle = handle
        self._monitored = monitored
        self._clock = clock
        self._entropy = entropy
        self._interrupted: set[int] = set()
        """The numbers of the streams that are not open."""

    async def run(self, context: LoopContext) -> None:
        """Follows until cancelled."""
        self._interrupted.clear()
        changed = self._monitored.watch()
        covered: set[Address] = set()
        sides: list[_Stream] = []
        numbers = itertools.count()
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    changed.clear()
                    fresh = [address for address in self._monitored.snapshot() if address not in covered]
                    covered.update(fresh)
                    merged = sides if fresh and len(sides) >= MAX_SIDE_STREAMS else []
                    addresses = [address for side in merged for address in side.addresses] + fresh
                    streams = [
                        _Stream(number=next(numbers), addresses=chunk, health=context.health)
                        for chunk in chunks(addresses, ADDRESSES_A_STREAM)
                    ]
                    for stream in streams:
                        stream.task = group.create_task(self._follow(stream))
                    self._end(merged)  # the merged stream replays everything that these have sent
                    sides = [
                        stream
                        for stream in (*(sides if not merged else ()), *streams)
                        if len(stream.addresses) < ADDRESSES_A_STREAM
                    ]
                    if not covered:
                        context.health.succeeded("no accounts yet")
                    await changed.wait()
        finally:
            self._monitored.unwatch(changed)

    def _end(self, streams: Sequence["_Stream"]) -> None:
        for stream in streams:
            self._interrupted.discard(stream.number)
            if stream.task is not None:
                stream.task.cancel()

    async def _follow(self, stream: "_Stream") -> None:
        backoff = Backoff(self._clock, self._entropy, first_s=0.25, cap_s=10.0)
        while True:
            limit = asyncio.timeout(MAX_S)
            try:
                async with limit:
                    await self._consume(stream, backoff)
                why = "the node ended it"
            except Exception as error:  # noqa: BLE001 - one failed stream must not stop the others
                if limit.expired():
                    continue
                why = fault_text(error)
            self._interrupted.add(stream.number)
            stream.health.failed(why)
            log.warning("stream interrupted", stream=self._name, why=why, attempt=backoff.attempts + 1)
            await backoff.wait()

    async def _consume(self, stream: "_Stream", backoff: Backoff) -> None:
        # Silence is no failure: a stream without items counts as open after a moment.
        counts_as_open = asyncio.get_running_loop().call_later(OPEN_AFTER_S, self._mark_open, stream, backoff)
        try:
            async with aclosing(self._open(stream.addresses)) as items:
                async for item in items:
                    await self._handle_safely(item)
                    self._mark_open(stream, backoff)
        finally:
            counts_as_open.cancel()

    async def _handle_safely(self, item: T) -> None:
        try:
            await self._handle(item)
        except Exception as error:  # noqa: BLE001 - one bad item, so one account, must not stop the stream
            lines = "".join(traceback.format_exception(error))
            log.error("a defect in handling an item of a stream", stream=self._name, traceback=lines)

    def _mark_open(self, stream: "_Stream", backoff: Backoff) -> None:
        """Reports success when every interrupted stream is open again."""
        backoff.reset()
        self._interrupted.discard(stream.number)
        if not self._interrupted:
            stream.health.succeeded()


@dataclass(slots=True, kw_only=True)
class _Stream:
    number: int
    addresses: Sequence[Address]
    health: WorkHealth
    task: asyncio.Task[None] | None = None
