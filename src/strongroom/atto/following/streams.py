"""Endless streams of the node, kept open: reconnect with backoff and jitter, replay, follow a growing set of addresses."""

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
from strongroom.core.clock import Clock, Entropy
from strongroom.core.coordination.loops import Turn
from strongroom.core.runtime.backoff import Backoff
from strongroom.core.runtime.fault_text import fault_text
from strongroom.core.runtime.work_health import WorkHealth
from strongroom.core.storage.statements import chunks

log = structlog.get_logger(__name__)

T = TypeVar("T")

# Every stream is opened anew from time to time: the replay heals whatever went by unseen.
MAX_S = 600.0
SETTLED_S = 6.0  # longer than a connection may take to fail
MAX_SIDE_STREAMS = 8
ADDRESSES_A_STREAM = 1000


class AddressStream(Generic[T]):
    """Streams of at most a thousand addresses each: a node refuses bodies above 256 KiB.

    New addresses get a side stream of their own. When there are many of those they are merged; a full stream is left
    alone, however many addresses come after it.

    `handle` gets one item at a time. What it raises is a defect: it is logged, and the stream goes on with the next.
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
        """Streams that are not open, by number."""

    async def run(self, turn: Turn) -> None:
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
                        _Stream(number=next(numbers), addresses=chunk, health=turn.health)
                        for chunk in chunks(addresses, ADDRESSES_A_STREAM)
                    ]
                    for stream in streams:
                        stream.task = group.create_task(self._follow(stream))
                    self._end(merged)  # the new ones tell again what these have told
                    sides = [
                        stream
                        for stream in (*(sides if not merged else ()), *streams)
                        if len(stream.addresses) < ADDRESSES_A_STREAM
                    ]
                    if not covered:
                        turn.health.succeeded("no accounts yet")
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
            except Exception as error:  # noqa: BLE001 - whatever it was, it is opened again and the others go on
                if limit.expired():
                    continue
                why = fault_text(error)
            self._interrupted.add(stream.number)
            stream.health.failed(why)
            log.warning("stream interrupted", stream=self._name, why=why, attempt=backoff.attempts + 1)
            await backoff.wait()

    async def _consume(self, stream: "_Stream", backoff: Backoff) -> None:
        # Silence is no failure: an open stream that has nothing to say counts as up after a moment.
        settled = asyncio.get_running_loop().call_later(SETTLED_S, self._settle, stream, backoff)
        try:
            async with aclosing(self._open(stream.addresses)) as items:
                async for item in items:
                    await self._handle_fenced(item)
                    self._settle(stream, backoff)
        finally:
            settled.cancel()

    async def _handle_fenced(self, item: T) -> None:
        try:
            await self._handle(item)
        except Exception as error:  # noqa: BLE001 - one item, so one account, never keeps the others waiting
            lines = "".join(traceback.format_exception(error))
            log.error("a defect in handling an item of a stream", stream=self._name, traceback=lines)

    def _settle(self, stream: "_Stream", backoff: Backoff) -> None:
        """Reports success once the last stream that was interrupted is open again."""
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
