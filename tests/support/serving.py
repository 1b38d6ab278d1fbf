"""Applications behind real HTTP, on a port of their own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from strongroom.core.listener import Listener, Surface


@asynccontextmanager
async def serving(application: Any, port: int = 0) -> AsyncIterator[str]:
    """The URL of the application while it is served; stops in a moment unless a response is still open."""
    surface = Surface(name="test", application=application, host="127.0.0.1", port=port, authenticated=False)
    listener = Listener(surface)
    task = asyncio.create_task(listener.serve())
    await listener.started()
    try:
        yield listener.url
    finally:
        listener.stop()
        await task
