"""A process that dies at any write of a delivery: another one goes on, in order, and nothing is lost."""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import pytest
from sqlalchemy import Connection
from sqlalchemy.engine import URL

from strongroom.core.storage.database import ANSWER_S, Database
from support.clock import ManualClock
from support.dying_database import Died
from support.webhooks.house import Delivery, WebhookHouse, receiving

pytestmark = pytest.mark.anyio
T = TypeVar("T")
EVENTS = 5


class MortalDatabase(Database):
    """Dies at the write of this number, before or after it reaches the disk."""

    def __init__(self, url: URL, at: int, *, committed: bool) -> None:
        super().__init__(url)
        self.left = at
        self._committed = committed

    async def write(self, work: Callable[[Connection], T], *, answer_s: float | None = ANSWER_S) -> T:
        if self.left > 0:
            self.left -= 1
            return await super().write(work, answer_s=answer_s)
        if self.left == 0 and self._committed:
            await super().write(work, answer_s=answer_s)
        self.left = -1
        raise Died

    async def read(self, work: Callable[[Connection], T]) -> T:
        if self.left < 0:
            raise Died
        return await super().read(work)


@pytest.mark.parametrize("committed", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(6))
async def test_what_a_process_that_dies_leaves_is_delivered_by_another(
    database: Database, clock: ManualClock, at: int, *, committed: bool
) -> None:
    refusals = [500, 200]

    def status(_: Delivery) -> int:
        return refusals.pop(0) if refusals else 200

    survivor = WebhookHouse(database, clock, seed=2)
    mortal = MortalDatabase(database.url, -2, committed=committed)
    async with receiving(status) as receiver:
        await survivor.add("shop", receiver.url)
        await survivor.announce("a", *range(EVENTS))
        mortal.left = 100
        victim = WebhookHouse(mortal, clock)
        lease = await victim.lease()
        mortal.left = at
        with suppress(Died):
            async with victim.delivering(lease):
                await victim.until(lambda: mortal.left < 0 or len(receiver.taken) == EVENTS, step_s=2)
        async with survivor.delivering():
            await survivor.until_states("shop", ["delivered"] * EVENTS, step_s=2)
    await mortal.close()
    firsts = list(dict.fromkeys(receiver.numbers("a")))
    assert firsts == [*range(EVENTS)]
    twice = len(receiver.taken) - EVENTS
    assert twice <= 1, "the delivery that was not recorded alone comes again"
