"""Waiting for what has no event to wait for."""

import asyncio
from collections.abc import Callable

PATIENCE_S = 10.0


async def eventually(condition: Callable[[], bool]) -> None:
    """Returns as soon as `condition` holds; fails if it does not within ten seconds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what is observed offers no event
            await asyncio.sleep(0.002)
