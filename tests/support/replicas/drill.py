"""What happens to processes and to what they stand on, under load: the same for every ledger, with a stop-watch."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

from support.haproxy import Proxy
from support.replicas.clients import Clients
from support.restartable import Program
from support.waiting import PATIENCE_S

READY_OFF_S, ENDED_S, BACK_S = 1.0, 30.0, 10.0
TERM_S = 10.0
"""Longer than a lease lasts."""


class Member(Program):
    """A process of the service, with its management port."""

    management: httpx2.AsyncClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Something that took so long, and may take so long."""

    what: str
    seconds: float
    limit_s: float

    @property
    def holds(self) -> bool:
        return self.seconds <= self.limit_s

    def __str__(self) -> str:
        missed = "" if self.holds else "  MISSED"
        return f"{self.what:<70} {self.seconds:6.2f} s of {self.limit_s:g} s{missed}"


@dataclass(kw_only=True)
class Drill:
    """`programs` are all of them; the first `served` ones stand behind each of `proxies`, in their order."""

    programs: Sequence[Member]
    served: int
    proxies: Sequence[Proxy]
    clients: Clients
    lead: Callable[[], Coroutine[Any, Any, None]]
    """Gives work that only a leader does; returns when it is done."""
    bars: list[Bar] = field(default_factory=list)

    @asynccontextmanager
    async def load(self) -> AsyncIterator[None]:
        """Clients work meanwhile."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.clients.run())
            await self.clients.until_more()
            yield
            await self.clients.until_more()
            self.clients.stopped.set()

    async def restart_each(self) -> None:
        """One after the other, as an orchestrator does."""
        for number, one in enumerate(self.programs):
            await self.clients.until_more()
            started_s = time.monotonic()
            ending = asyncio.create_task(one.terminate())
            await self._until_not_ready(one)
            self._note("from SIGTERM until it is not ready", started_s, READY_OFF_S)
            assert await ending == 0
            self._note("from SIGTERM until it has ended", started_s, ENDED_S)
            await self.clients.until_more()
            await self._again(number)

    async def kill_each(self) -> None:
        for number, one in enumerate(self.programs):
            started_s = time.monotonic()
            one.kill()
            await self._until_work_goes_on(f"SIGKILL of process {number}", started_s)
            await self._again(number)

    async def pause_each(self) -> None:
        """Each stands still (SIGSTOP) for longer than what it leads lasts, and then goes on as if nothing had been."""
        for number, one in enumerate(self.programs):
            seen = self._ups(number)
            started_s = time.monotonic()
            one.process.pause()
            try:
                await self._until_work_goes_on(f"SIGSTOP of process {number}", started_s)
                await asyncio.sleep(max(0.0, TERM_S - (time.monotonic() - started_s)))
            finally:
                one.process.resume()
            await self._until_up(number, seen)
            await self.clients.until_more()

    async def without(
        self, what: str, away: Callable[[], object], back: Callable[[], object], *, for_s: float = 5.0
    ) -> None:
        """Something that the processes need is away for a while; it may block while it ends and starts."""
        await asyncio.to_thread(away)
        await asyncio.sleep(for_s)
        await asyncio.to_thread(back)
        await self.recovered(f"the return of {what}", self.programs)

    async def recovered(self, what: str, programs: Sequence[Member]) -> None:
        started_s = time.monotonic()
        await asyncio.gather(*(self.until_ready(one) for one in programs))
        await self._until_work_goes_on(what, started_s)

    async def until_ready(self, one: Member) -> None:
        await _until(lambda: _is_ready(one))

    async def _until_work_goes_on(self, what: str, started_s: float) -> None:
        """What clients ask for, and what nobody asks for."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.lead())
            group.create_task(self.clients.until_more())
        self._note(f"from {what} until all work goes on", started_s, BACK_S)

    async def _again(self, number: int) -> None:
        seen = self._ups(number)
        await self.programs[number].start()
        await self._until_up(number, seen)

    def _ups(self, number: int) -> list[int]:
        return [proxy.ups(number) for proxy in self.proxies]

    async def _until_up(self, number: int, seen: list[int]) -> None:
        """Until every proxy sends requests to it again."""
        if number < self.served:
            for proxy, times in zip(self.proxies, seen, strict=True):
                await proxy.until_up(number, times + 1)
        else:
            await self.until_ready(self.programs[number])

    @staticmethod
    async def _until_not_ready(one: Member) -> None:
        async def is_over() -> bool:
            return not await _is_ready(one)

        await _until(is_over)

    def _note(self, what: str, started_s: float, limit_s: float) -> None:
        self.bars.append(Bar(what=what, seconds=time.monotonic() - started_s, limit_s=limit_s))


async def _is_ready(one: Member) -> bool:
    try:
        answer = await one.management.get("/health/readiness", timeout=2)
    except httpx2.HTTPError:
        return False
    return answer.status_code == httpx2.codes.OK


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():  # noqa: ASYNC110 - another program offers no event
            await asyncio.sleep(0.01)
