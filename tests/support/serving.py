"""Applications behind real HTTP, on a port of their own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Self

from strongroom.core.http.exposure import Access
from strongroom.core.http.listener import Listener, Surface

MANY_MESSAGES = 1_000_000  # a chain is asked much over one WebSocket
Serve = Callable[[Any], AbstractAsyncContextManager[str]]


@asynccontextmanager
async def serving(application: Any, port: int = 0) -> AsyncIterator[str]:
    """The URL of the application while it is served; stops in a moment unless a response is still open."""
    surface = Surface(
        name="test",
        application=application,
        host="127.0.0.1",
        port=port,
        access=Access.PUBLIC,
        messages_a_minute=MANY_MESSAGES,
        max_body=None,  # as the ledgers' own surfaces: their applications refuse a large body in their words
    )
    listener = Listener(surface)
    task = asyncio.create_task(listener.serve())
    await listener.started()
    try:
        yield listener.url
    finally:
        listener.stop()
        await task


class Servers:
    """Servers that go on running and serve one application after the other: to stop one takes a tenth of a second."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._idle: list[_Server] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @asynccontextmanager
    async def serving(self, application: Any) -> AsyncIterator[str]:
        """As the function of this name; requests under way are answered before it ends."""
        server = self._idle.pop() if self._idle else await self._start()
        server.application = application
        try:
            yield server.url
        finally:
            await server.finish()
            self._idle.append(server)

    async def _start(self) -> "_Server":
        server = _Server()
        server.url = await self._stack.enter_async_context(serving(server))
        return server


class _Server:
    """An application that is whichever application it was given last."""

    def __init__(self) -> None:
        self.url = ""
        self.application: Any = None
        self._under_way: set[object] = set()
        self._changed = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = object()
        self._under_way.add(request)
        try:
            await self.application(scope, receive, send)
        finally:
            self._under_way.discard(request)
            self._changed.set()

    async def finish(self) -> None:
        while self._under_way:
            self._changed.clear()
            await self._changed.wait()
        self.application = None
