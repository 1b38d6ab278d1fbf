"""Wrong guesses cost pauses, over all processes; who knows the secret waits for nobody else's."""

import random
from itertools import pairwise

import pytest
from sqlalchemy import func, select

from strongroom.core.coordination.guesses import (
    ALL,
    FORGET_MS,
    MAX_ABOVE,
    OWN,
    REMEMBER_MS,
    RENEW_MS,
    Burst,
    Guesses,
    Pauses,
)
from strongroom.core.errors import RateLimited
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from support.clock import ManualClock

pytestmark = pytest.mark.anyio
KIND = "toy secret"


class Guesser:
    """One process's view of the guesses."""

    def __init__(self, database: Database, clock: ManualClock, kind: str = KIND) -> None:
        self.database = database
        self.guesses = Guesses(kind, clock)

    async def wait_s(self, caller: str, subject: str = "safe") -> int:
        """How long the caller has to wait now."""
        try:
            await self.database.write(
                lambda connection: self.guesses.require_turn(connection, subject, caller)
            )
        except RateLimited as error:
            told = error
        else:
            return 0
        assert told.instance_code == "too_many_attempts"
        assert f"Try again in {told.retry_after_s} s" in told.message
        return told.retry_after_s

    async def wrong(self, caller: str, times: int = 1, subject: str = "safe") -> list[Burst]:
        found: list[Burst] = []
        for _ in range(times):
            found += await self.database.write(
                lambda connection: self.guesses.wrong(connection, subject, caller)
            )
        return found

    async def right(self, caller: str, subject: str = "safe") -> None:
        await self.database.write(lambda connection: self.guesses.right(connection, subject, caller))

    async def change(self, subject: str = "safe") -> None:
        await self.database.write(lambda connection: self.guesses.changed(connection, subject))

    async def rows(self) -> int:
        query = select(func.count()).select_from(tables.guess)
        return await self.database.read(lambda connection: connection.execute(query).scalar_one())


@pytest.fixture
def here(database: Database, clock: ManualClock) -> Guesser:
    return Guesser(database, clock)


@pytest.fixture
def there(replica: Database, clock: ManualClock) -> Guesser:
    return Guesser(replica, clock)


@pytest.mark.parametrize(
    ("wrong", "pause_ms"),
    [(0, 0), (2, 0), (3, 100), (4, 200), (5, 400), (6, 800), (7, 1000), (1000, 1000)],
)
def test_a_pause_doubles_up_to_a_ceiling(wrong: int, pause_ms: int) -> None:
    assert Pauses(free=2, first_ms=100, longest_ms=1000).after(wrong) == pause_ms


async def test_a_caller_waits_longer_with_each_wrong_guess(here: Guesser, clock: ManualClock) -> None:
    await here.wrong("mallory", OWN.free)
    assert await here.wait_s("mallory") == 0
    waits = []
    for _ in range(MAX_ABOVE + 1):
        await here.wrong("mallory")
        waits.append(await here.wait_s("mallory"))
        clock.advance(waits[-1])
        assert await here.wait_s("mallory") == 0
    assert waits[:4] == [1, 2, 4, 8]
    assert waits[-3:] == [300] * 3 == [OWN.longest_ms // 1000] * 3


async def test_a_pause_is_counted_down_and_told_in_whole_seconds(here: Guesser, clock: ManualClock) -> None:
    await here.wrong("mallory", OWN.free + 3)
    clock.advance(0.5)
    assert await here.wait_s("mallory") == 4
    clock.advance(3.4)
    assert await here.wait_s("mallory") == 1
    clock.advance(0.1)
    assert await here.wait_s("mallory") == 0


async def test_all_processes_count_together(here: Guesser, there: Guesser) -> None:
    await here.wrong("mallory", 3)
    await there.wrong("mallory", 3)
    assert await here.wait_s("mallory") == await there.wait_s("mallory") == 1


async def test_another_caller_another_subject_and_another_kind_do_not_wait(
    here: Guesser, database: Database, clock: ManualClock
) -> None:
    await here.wrong("mallory", OWN.free + 5)
    assert await here.wait_s("ann") == 0
    assert await here.wait_s("mallory", "chest") == 0
    assert await Guesser(database, clock, "other").wait_s("mallory") == 0
    assert await here.wait_s("mallory") > 0


async def test_many_callers_together_make_strangers_wait(here: Guesser) -> None:
    for number in range(ALL.free + 2):
        await here.wrong(f"mallory-{number}")
    assert await here.wait_s("mallory-new") == 2
    await here.wrong("mallory-0", 50, "safe")
    assert await here.wait_s("stranger") == ALL.longest_ms // 1000


async def test_who_has_shown_the_secret_waits_for_nobody_else(here: Guesser, clock: ManualClock) -> None:
    await here.right("owner")
    for number in range(ALL.free + 9):
        await here.wrong(f"mallory-{number}")
    assert await here.wait_s("stranger") == ALL.longest_ms // 1000
    assert await here.wait_s("owner") == 0
    await here.wrong("owner", OWN.free + 1)
    assert await here.wait_s("owner") == 1
    clock.advance(1)
    assert await here.wait_s("owner") == 0
    await here.right("owner")
    await here.wrong("owner")
    assert await here.wait_s("owner") == 0


async def test_knowing_is_forgotten_and_renewed(here: Guesser, clock: ManualClock) -> None:
    await here.right("owner")
    clock.advance(RENEW_MS / 1000 - 1)
    await here.right("owner")  # too soon to be written again
    clock.advance((REMEMBER_MS - RENEW_MS) / 1000)
    for number in range(ALL.free + 9):
        await here.wrong(f"mallory-{number}")
    assert await here.wait_s("owner") == 0
    clock.advance(1)
    await here.wrong("mallory")
    assert await here.wait_s("owner") > 0
    await here.right("owner")
    assert await here.wait_s("owner") == 0


async def test_another_secret_is_known_to_nobody(here: Guesser) -> None:
    await here.right("former")
    await here.wrong("mallory", OWN.free + 3)
    await here.right("former", "chest")
    await here.change()
    assert await here.wait_s("mallory") == 0
    for number in range(ALL.free + 9):
        await here.wrong(f"mallory-{number}")
    assert await here.wait_s("former") > 0
    assert await here.rows() == ALL.free + 9 + 2  # and everybody, and the chest's


async def test_a_wrong_guess_is_forgotten_after_a_while(here: Guesser, clock: ManualClock) -> None:
    await here.wrong("mallory", OWN.free)
    clock.advance(FORGET_MS / 1000 - 1)
    await here.wrong("mallory")
    assert await here.wait_s("mallory") == 1
    clock.advance(2 * FORGET_MS / 1000)
    await here.wrong("mallory")  # five of six are left, and this one
    assert await here.wait_s("mallory") == 0
    await here.wrong("mallory")
    assert await here.wait_s("mallory") == 1


async def test_a_clock_that_is_set_back_locks_nobody_out_for_long(here: Guesser, clock: ManualClock) -> None:
    await here.wrong("mallory", OWN.free + 2)
    early = ManualClock(clock.now_ms() - 10**9)
    earlier = Guesser(here.database, early)
    assert await earlier.wait_s("mallory") == 2
    await earlier.wrong("mallory")
    assert await earlier.wait_s("mallory") == 4
    early.advance(4)
    assert await earlier.wait_s("mallory") == 0


async def test_bursts_are_told_when_they_begin_and_when_they_last(here: Guesser, clock: ManualClock) -> None:
    assert await here.wrong("mallory", OWN.free) == []
    assert await here.wrong("mallory") == [Burst(by="mallory", wrong=OWN.free + 1)]
    assert await here.wrong("mallory", MAX_ABOVE - 2) == []
    assert await here.wrong("mallory") == [Burst(by="mallory", wrong=OWN.free + MAX_ABOVE)]
    assert await here.wrong("mallory", ALL.free - OWN.free - MAX_ABOVE) == []
    assert await here.wrong("mallory") == [Burst(by="anybody", wrong=ALL.free + 1)]
    told = await here.wrong("mallory", 100)
    assert told == [Burst(by="anybody", wrong=ALL.free + MAX_ABOVE)]
    clock.advance(FORGET_MS / 1000)
    assert [one.by for one in await here.wrong("mallory")] == ["mallory", "anybody"]


async def test_rows_that_say_nothing_any_more_are_deleted(here: Guesser, clock: ManualClock) -> None:
    for number in range(30):
        await here.wrong(f"mallory-{number}")
    await here.right("owner")
    assert await here.rows() == 32
    clock.advance((ALL.free + MAX_ABOVE) * FORGET_MS / 1000 + 1)
    await here.wrong("mallory")
    assert await here.rows() == 3  # hers, everybody's, and the owner's
    clock.advance(REMEMBER_MS / 1000)
    await here.wrong("mallory")
    assert await here.rows() == 2


async def test_no_guesser_ever_looks_more_often_than_the_pauses_let(
    here: Guesser, there: Guesser, clock: ManualClock
) -> None:
    """A guesser who asks all the time, at either process, with as many names as they like."""
    chance = random.Random(7)
    looks: list[float] = []
    names = [f"mallory-{number}" for number in range(40)]
    while clock.monotonic_s() < 3_600:
        place, name = chance.choice((here, there)), chance.choice(names)
        if await place.wait_s(name) == 0:
            await place.wrong(name)
            looks.append(clock.monotonic_s())
        clock.advance(chance.choice((1, 5, 20)))
    late = [at_s for at_s in looks if at_s > 600]
    assert len(late) <= (3_600 - 600) / 60 * 1.2 + 1
    assert all(after - before >= 40 for before, after in pairwise(late))
