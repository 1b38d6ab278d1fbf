"""What clients of any ledger do at several processes: they ask over a proxy, count each answer, and go on until they are stopped."""

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import httpx2

from support.waiting import PATIENCE_S

READ, PAID = "read", "paid"
ANSWER_S = 60.0
HURRIED_S = 3.0
"""After so long a client of processes that stand still gives an answer up, and asks again."""
PAUSE_S = 0.1


class Clients(ABC):
    """Each client asks over a kept connection. A read is asked once; a write again until its fate is known."""

    def __init__(self, url: str) -> None:
        self.answer_s = ANSWER_S
        self._url = url
        self._news = asyncio.Condition()
        self.stopped = asyncio.Event()
        self.outcomes: Counter[tuple[str, int | str]] = Counter()
        """How often a request of a kind had an answer: its status, or the error of the connection."""
        self.done: Counter[str] = Counter()
        """Reads that were answered, and writes whose success is known."""

    @abstractmethod
    def work(self) -> list[Coroutine[Any, Any, None]]:
        """What runs side by side until `stopped`."""

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for work in self.work():
                group.create_task(work)

    async def until_more(self, number: int = 10) -> None:
        """Returns after so many more reads and writes."""
        before = self.done.copy()
        async with self._news, asyncio.timeout(PATIENCE_S):
            await self._news.wait_for(
                lambda: all(self.done[kind] >= before[kind] + number for kind in (READ, PAID))
            )

    @property
    def failed(self) -> dict[tuple[str, int | str], int]:
        """The answers that are no success."""
        return {
            asked: number
            for asked, number in self.outcomes.items()
            if not (isinstance(asked[1], int) and httpx2.codes.is_success(asked[1]))
        }

    async def ask(
        self, client: httpx2.AsyncClient, kind: str, method: str, path: str, **more: Any
    ) -> httpx2.Response | None:
        """One request; None: the connection broke, or the answer did not come in time."""
        try:
            response: httpx2.Response | None = (answer := await client.request(method, path, **more))
            self.outcomes[kind, answer.status_code] += 1
        except httpx2.HTTPError as error:
            response = None
            self.outcomes[kind, type(error).__name__] += 1
        if kind == READ and response is not None and response.is_success:
            await self.note(READ)
        if response is None or response.is_server_error:
            await asyncio.sleep(PAUSE_S)
        return response

    async def note(self, kind: str) -> None:
        self.done[kind] += 1
        async with self._news:
            self._news.notify_all()

    def client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self._url, trust_env=False, timeout=self.answer_s)
