"""What is under way in a process with webhooks, so that a test lets no time pass before what is due has happened."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection

from strongroom.core.storage.database import ANSWER_S, Database
from strongroom.core.webhooks.sender import Answer, Sender, Senders
from support.running import PATIENCE_S

T = TypeVar("T")
TURNS = 25
"""So many turns of the event loop without anything under way: whoever was woken has gone on, or sleeps again."""


class Traffic:
    """Counts what an event loop waits for besides the time: units of the database, and attempts at endpoints."""

    def __init__(self) -> None:
        self._under_way = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    @contextmanager
    def one(self) -> Iterator[None]:
        self._under_way += 1
        self._quiet.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._quiet.set()

    async def settle(self) -> None:
        """Waits until everything waits for time to pass, or for news."""
        async with asyncio.timeout(PATIENCE_S):
            turns = 0
            while turns < TURNS:
                turns = turns + 1 if self._quiet.is_set() else 0
                await self._quiet.wait()
                await asyncio.sleep(0)


class CountedDatabase(Database):
    """Another one, whose units count."""

    def __init__(self, counted: Database, traffic: Traffic) -> None:
        self._counted = counted
        self._traffic = traffic

    async def write(self, work: Callable[[Connection], T], *, answer_s: float | None = ANSWER_S) -> T:
        with self._traffic.one():
            return await self._counted.write(work, answer_s=answer_s)

    async def read(self, work: Callable[[Connection], T]) -> T:
        with self._traffic.one():
            return await self._counted.read(work)


class CountedSender(Sender):
    """Its attempts count."""

    traffic: Traffic

    async def send(
        self, url: str, event_id: str, body: bytes, secrets: Sequence[str], *, shows_body: bool = False
    ) -> Answer:
        with self.traffic.one():
            return await super().send(url, event_id, body, secrets, shows_body=shows_body)


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedSenders(Senders):
    traffic: Traffic

    def make(self) -> Sender:
        sender = CountedSender(self.reach, self.clock, self.lookup)
        sender.traffic = self.traffic
        return sender
