"""Endless streams of the node, kept open: reconnect with backoff and jitter, replay, follow a growing set of addresses."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Generic, TypeVar

import structlog

from strongroom.atto.monitored import MonitoredAddresses
from strongroom.atto.protocol import Address
from strongroom.core.backoff import Backoff
from strongroom.core.clock import Clock, Entropy
from strongroom.core.errors import StrongroomError
from strongroom.core.telemetry import Health, Status

log = structlog.get_logger(__name__)

T = TypeVar("T")

# Every stream is opened anew from time to time: the replay heals whatever went by unseen.
LONGEST_S = 600.0
SETTLED_S = 6.0  # longer than a connection may take to fail
MOST_SIDE_STREAMS = 8


class AddressStream(Generic[T]):
    """One stream for all addresses; new ones get a side stream until there are enough to open it anew.

    `handle` gets one item at a time. What it raises, other than a StrongroomError, is a defect and ends `run`.
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
        health: Health,
    ) -> None:
        self._name = name
        self._open = open_stream
        self._handle = handle
        self._monitored = monitored
        self._clock = clock
        self._entropy = entropy
        self._health = health

    async def run(self) -> None:
        """Follows until cancelled."""
        changed = self._monitored.watch()
        covered: set[Address] = set()
        streams: list[asyncio.Task[None]] = []
        async with asyncio.TaskGroup() as group:
            while True:
                changed.clear()
                fresh = [address for address in self._monitored.snapshot() if address not in covered]
                if fresh and len(streams) > MOST_SIDE_STREAMS:
                    for task in streams:
                        task.cancel()
                    streams.clear()
                    fresh = self._monitored.snapshot()
                if fresh:
                    covered.update(fresh)
                    streams.append(group.create_task(self._follow(fresh)))
                await changed.wait()

    async def _follow(self, addresses: Sequence[Address]) -> None:
        backoff = Backoff(self._clock, self._entropy, first_s=0.25, cap_s=10.0)
        while True:
            try:
                async with asyncio.timeout(LONGEST_S):
                    await self._consume(addresses, backoff)
                why = "the node ended it"
            except TimeoutError:
                continue
            except StrongroomError as error:
                why = error.message
            self._health.report(self._name, Status.DOWN, why)
            log.warning("stream interrupted", stream=self._name, why=why, attempt=backoff.attempts + 1)
            await backoff.wait()

    async def _consume(self, addresses: Sequence[Address], backoff: Backoff) -> None:
        # Silence is no failure: an open stream that has nothing to say counts as up after a moment.
        settled = asyncio.get_running_loop().call_later(SETTLED_S, self._settle, backoff)
        try:
            async with aclosing(self._open(addresses)) as items:
                async for item in items:
                    self._settle(backoff)
                    await self._handle(item)
        finally:
            settled.cancel()

    def _settle(self, backoff: Backoff) -> None:
        backoff.reset()
        self._health.report(self._name, Status.UP)
