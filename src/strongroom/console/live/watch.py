"""Tells viewers that what they look at has changed, whichever process changed it.

Each subject that somebody looks at is read from the databases twice a second, once for all its viewers in this process: the databases
are what replicas share. What is told is only that something changed: each viewer then asks for the page, with their own rights.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog

from strongroom.core.clock import Clock, sleep_unless
from strongroom.core.errors import RateLimited, StrongroomError
from strongroom.core.runtime.background import cancel_all

LOOK_S: Final = 0.5
MAX_SUBJECTS: Final = 64
MAX_VIEWERS: Final = 512
MAX_OF_ONE: Final = 32
"""So many pages of one caller are watched: one token takes neither the databases nor the places of others."""

log = structlog.get_logger(__name__)

Read = Callable[[], Awaitable[bytes]]
"""What a subject looks like now; it differs when something of it has changed."""


class Watch:
    """One loop for each subject that has viewers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._subjects: dict[str, _Subject] = {}
        self._is_closed = False

    @property
    def viewers(self) -> int:
        return sum(len(one.viewers) for one in self._subjects.values())

    @asynccontextmanager
    async def viewing(self, name: str, read: Read, by: str) -> AsyncIterator["Viewing"]:
        """`by`: the caller's name.

        Raises:
            RateLimited: so many look already that the databases would be asked too much.
        """
        is_full = name not in self._subjects and len(self._subjects) >= MAX_SUBJECTS
        if is_full or self.viewers >= MAX_VIEWERS or self._of(by) >= MAX_OF_ONE or self._is_closed:
            raise RateLimited("Too many pages are watched; load this one again", retry_after_s=60)
        subject = self._subjects.get(name)
        if subject is None:
            subject = self._subjects[name] = _Subject(read, self._clock)
        viewing = Viewing(self._clock, by)
        subject.viewers.add(viewing)
        try:
            yield viewing
        finally:
            subject.viewers.discard(viewing)
            if not subject.viewers and self._subjects.get(name) is subject:
                del self._subjects[name]
                await cancel_all([subject.task])

    def _of(self, by: str) -> int:
        return sum(viewing.by == by for one in self._subjects.values() for viewing in one.viewers)

    async def close(self) -> None:
        """Ends what viewers wait for, so that the server need not wait for their answers."""
        self._is_closed = True
        for subject in self._subjects.values():
            for viewing in subject.viewers:
                viewing.end()


class Viewing:
    """One viewer of a subject."""

    def __init__(self, clock: Clock, by: str) -> None:
        self._clock = clock
        self.by = by
        self._news = asyncio.Event()
        self._has_changed = False
        self.is_over = False

    def tell(self) -> None:
        self._has_changed = True
        self._news.set()

    def end(self) -> None:
        self.is_over = True
        self._news.set()

    async def changed(self, patience_s: float) -> bool:
        """Whether it has changed, as soon as it has; False after `patience_s`, or when it is over."""
        if not self._has_changed and not self.is_over:
            await sleep_unless(self._news, self._clock, patience_s)
        self._news.clear()
        changed, self._has_changed = self._has_changed, False
        return changed and not self.is_over


class _Subject:
    def __init__(self, read: Read, clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self.viewers: set[Viewing] = set()
        self.task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        known: bytes | None = None
        while True:
            found = known
            try:
                found = hashlib.blake2b(await self._read(), digest_size=16).digest()
            except StrongroomError:
                pass  # a database that is away: what it has is told when it is back
            except Exception as error:
                log.error("defect", work="console watch", error=type(error).__name__, exc_info=error)
            if known is not None and found != known:
                for viewing in self.viewers:
                    viewing.tell()
            known = found
            await self._clock.sleep(LOOK_S)
