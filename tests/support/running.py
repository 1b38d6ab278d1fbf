"""Things that run until they are stopped."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")

PATIENCE_S = 60.0


@asynccontextmanager
async def running(work: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """Runs `work` beside the block, then cancels it; what it raised by itself is raised."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait([task])
    if not task.cancelled():
        task.result()
