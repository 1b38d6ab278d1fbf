"""Reads pages of events ahead: the next ones come over HTTP while the last ones are written to the database."""

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from strongroom.hathor.gateway import EventNode
from strongroom.hathor.protocol.events import Page, RawEvent

AHEAD = 3
"""Pages that wait at most. The next batch takes all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PagesRead:
    """What has come since the last call. `failure` ended the reading; the pages before it are good."""

    pages: list[Page]
    failure: Exception | None

    @property
    def events(self) -> list[RawEvent]:
        return [event for page in self.pages for event in page.events]

    @property
    def is_end(self) -> bool:
        """Whether the node has no further events."""
        return bool(self.pages) and not self.pages[-1].events


class PageReader:
    """One reading, from an event to the end of the node's queue or to a failure. An asynchronous context."""

    def __init__(self, node: EventNode, after_id: int) -> None:
        self._node = node
        self._after_id = after_id
        self._read: asyncio.Queue[Page | Exception] = asyncio.Queue(AHEAD)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            # A failure of the reading was given to the caller, or nobody needs it any more.
            await asyncio.gather(self._task, return_exceptions=True)

    async def take(self) -> PagesRead:
        """Waits for a page, and returns it with all others that are there."""
        read = [await self._read.get()]
        while not self._read.empty():
            read.append(self._read.get_nowait())
        last = read[-1]
        return PagesRead(
            pages=[page for page in read if isinstance(page, Page)],
            failure=last if isinstance(last, Exception) else None,
        )

    async def _run(self) -> None:
        after_id = self._after_id
        while True:
            try:
                page = await self._node.page(after_id)
            except Exception as error:  # noqa: BLE001 - who waits for a page would wait for ever
                await self._read.put(error)
                return
            await self._read.put(page)
            if not page.events:
                return
            after_id = page.events[-1].id
