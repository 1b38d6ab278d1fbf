"""Commands of ours that end, or are killed, and start again on the same ports."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Self

import httpx2

from support.processes import Process, strongroom

ANSWER_S = 60.0
START_S = 120.0


class Program:
    """A `strongroom` command that is started again on the same ports after it ended."""

    def __init__(self, *arguments: str, environment: Mapping[str, str]) -> None:
        self._arguments = arguments
        self._environment = dict(environment)
        self._stack = AsyncExitStack()
        self._process: Process | None = None

    @property
    def process(self) -> Process:
        assert self._process is not None, "it was not started"
        return self._process

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
        await self._stack.aclose()

    async def start(self) -> None:
        """Returns when it serves. The event loop goes on meanwhile."""
        self._process = strongroom(*self._arguments, environment=self._environment)
        await asyncio.to_thread(self._process.wait_ready, START_S)

    def kill(self) -> None:
        """As a power cut ends it (SIGKILL)."""
        self.process.kill()

    async def terminate(self) -> int:
        """As an orchestrator ends it (SIGTERM); returns its exit status."""
        return await asyncio.to_thread(self.process.terminate)

    async def client(self, url: str) -> httpx2.AsyncClient:
        """A client that is closed with the program; it never goes through a proxy."""
        client = httpx2.AsyncClient(base_url=url, trust_env=False, verify=False, timeout=ANSWER_S)
        return await self._stack.enter_async_context(client)
