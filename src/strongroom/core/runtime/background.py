"""Tasks that outlive the request that started them."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

import structlog

from strongroom.core.errors import Conflict, Forbidden, StrongroomError

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Background:
    """Keeps a reference to each task, because the event loop keeps none; logs how tasks fail, and ends all tasks at shutdown."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def close(self) -> None:
        """Cancels the running tasks and waits for their end."""
        await cancel_all(self._tasks)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            if isinstance(error, StrongroomError):  # no defect, and whoever waits for the task is told
                level = logging.INFO if isinstance(error, Conflict | Forbidden) else logging.WARNING
                log.log(level, "a background task ended", code=error.instance_code, why=error.message)
                return
            log.error("background task failed", error=f"{type(error).__name__}: {error}")


async def cancel_all(futures: Iterable[asyncio.Future[Any]]) -> None:
    """Cancels the futures and waits until each has ended, in whatever way."""
    ended = list(futures)
    for future in ended:
        future.cancel()
    await asyncio.gather(*ended, return_exceptions=True)
