"""Waiting for what has no event to wait for."""

import asyncio
from collections.abc import Awaitable, Callable

PATIENCE_S = 90.0


async def eventually(condition: Callable[[], bool]) -> None:
    """Returns as soon as `condition` holds; fails if it does not within a minute and a half: a machine may be busy."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what is observed offers no event
            await asyncio.sleep(0.002)


async def until_true(condition: Callable[[], Awaitable[bool]]) -> None:
    """The same for a condition that has to be asked of another program."""
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():  # noqa: ASYNC110 - another program offers no event
            await asyncio.sleep(0.05)
