"""Resolves names in a thread of its own, so that a name server that is silent keeps nobody else waiting.

The event loop's own way has a few threads for everything that the process resolves.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

Lookup = Callable[[str, int], Sequence[tuple[Any, ...]]]
"""As `socket.getaddrinfo` for TCP."""


def system_lookup(host: str, port: int) -> Sequence[tuple[Any, ...]]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class ThreadResolver(AbstractResolver):
    """One name at a time. A thread that the name server keeps waiting does not keep the process from ending."""

    def __init__(self, lookup: Lookup = system_lookup) -> None:
        self._lookup = lookup
        self._running: asyncio.Future[Sequence[tuple[Any, ...]]] | None = None

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        while self._running is not None and not self._running.done():
            await asyncio.wait(
                [self._running]
            )  # a caller that gave up leaves its thread behind: one is enough
        found = self._running = self._start(host, port)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=each_family,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for each_family, _, proto, _, address in await asyncio.shield(found)
            if family in {socket.AF_UNSPEC, each_family}
        ]

    async def close(self) -> None:
        """Nothing is open."""

    def _start(self, host: str, port: int) -> asyncio.Future[Sequence[tuple[Any, ...]]]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[tuple[Any, ...]]] = loop.create_future()

        def give(found: Sequence[tuple[Any, ...]] | BaseException) -> None:
            if isinstance(found, BaseException):
                answer.set_exception(found)
                answer.exception()  # whoever asked may be gone
            else:
                answer.set_result(found)

        def work() -> None:
            found: Sequence[tuple[Any, ...]] | BaseException
            try:
                found = self._lookup(host, port)
            except (OSError, UnicodeError) as error:
                found = error if isinstance(error, OSError) else OSError(str(error))
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(give, found)

        threading.Thread(target=work, name="resolve", daemon=True).start()
        return answer
