"""Loops that fail, hang, are cancelled from inside, and what health says of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from strongroom.core.coordination.lease import DEFAULT_TTL_S, Lease, Leases
from strongroom.core.coordination.loops import MAX_PAUSE_S, Again, Incomplete, LoopContext, Loops
from strongroom.core.errors import LeaseLost, Unavailable
from strongroom.core.runtime.background import Background
from strongroom.core.runtime.telemetry import ComponentHealth, Health, Metrics, Status
from strongroom.core.runtime.work_health import STANDBY
from strongroom.core.storage.database import ANSWER_S, Database, T, sqlite_url
from strongroom.core.storage.database import Work as Unit
from strongroom.core.storage.errors import ConnectionSevered
from strongroom.core.storage.migrations import migrate
from support.clock import START_MS, ManualClock, SeededEntropy
from support.running import PATIENCE_S

UP, DEGRADED, DOWN = Status.UP, Status.DEGRADED, Status.DOWN


class House:
    """Loops with a clock that the test advances."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.health = Health()
        self.metrics = Metrics("strongroom")
        self.background = Background()
        self.loops = Loops(
            health=self.health,
            metrics=self.metrics,
            clock=self.clock,
            entropy=SeededEntropy(),
            background=self.background,
            ledger="toy",
        )

    def part(self, name: str) -> ComponentHealth:
        return self.health.components()[name]

    def status(self, name: str) -> tuple[Status, str | None]:
        return self.part(name).status, self.part(name).detail

    async def pause_over(self) -> float:
        """Waits until a loop sleeps, lets its time pass; returns how long it was."""
        (pause_s, *_) = await self.clock.sleepers()
        self.clock.advance(pause_s)
        return pause_s


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    yield house
    await house.background.close()


class Work:
    """Work that does what the test says next, and reports when it has begun."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.result: object = None
        self.passes = 0

    async def __call__(self) -> object:
        self.passes += 1
        if self.error is not None:
            raise self.error
        return self.result


async def test_work_runs_at_once_and_then_at_its_pace(house: House) -> None:
    work = Work()
    house.loops.start(house.loops.every("purge", 60.0, work))
    assert house.status("purge") == (UP, "not tried yet")
    assert [await house.pause_over() for _ in range(3)] == [60.0, 60.0, 60.0]
    assert house.status("purge") == (UP, None)
    await house.clock.sleepers()
    assert work.passes == 4


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("The node does not answer"),
        OperationalError("SELECT", None, Exception(2003, "away")),
        OSError("gone"),
        KeyError("height"),
        AssertionError("unreachable"),
        ExceptionGroup("two", [ValueError("one"), ValueError("other")]),
        LeaseLost("another process has it"),
        asyncio.CancelledError(),
        RecursionError("maximum recursion depth exceeded"),
        MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_it_fails_with_it_is_degraded_then_down_then_up_again(
    house: House, error: BaseException
) -> None:
    work = Work()
    work.error = error
    house.loops.start(house.loops.every("sync", 5.0, work))
    pauses_s = []
    for number in range(1, 8):
        await house.clock.sleepers()
        part = house.part("sync")
        assert part.status is (DEGRADED if number < 5 else DOWN)
        assert part.detail
        assert part.last_failure_ms == house.clock.now_ms()
        pauses_s.append(await house.pause_over())
    assert all(before <= after for before, after in zip(pauses_s, pauses_s[2:], strict=False))  # it grows
    work.error = None
    await house.pause_over()
    await house.clock.sleeping_for(5.0)
    assert house.status("sync") == (UP, None)
    assert house.part("sync").last_success_ms == house.clock.now_ms()
    work.error = error
    await house.pause_over()
    await house.clock.sleepers()
    assert house.part("sync").status is DEGRADED  # it counts anew


async def test_pauses_after_failures_are_bounded(house: House) -> None:
    work = Work()
    work.error = Unavailable("away")
    house.loops.start(house.loops.every("purge", 3600.0, work))
    pauses_s = [await house.pause_over() for _ in range(20)]
    assert max(pauses_s) <= MAX_PAUSE_S
    assert min(pauses_s[8:]) >= MAX_PAUSE_S / 2
    assert len(set(pauses_s)) == len(pauses_s)  # jitter


async def test_a_pass_can_set_the_pause_before_the_next_one(house: House) -> None:
    work = Work()
    work.result = Again(0.5)
    house.loops.start(house.loops.every("resolver", 2.0, work))
    assert await house.pause_over() == 0.5
    work.result = 0.25  # a number means nothing
    assert [await house.pause_over() for _ in range(2)] == [2.0, 2.0]


async def test_what_fails_for_a_few_is_degraded_and_slows_down_nobody(house: House) -> None:
    work = Work()
    work.error = Incomplete("1 of 7 accounts waits")
    house.loops.start(house.loops.every("history", 5.0, work))
    assert [await house.pause_over() for _ in range(9)] == [5.0] * 9
    await house.clock.sleepers()
    assert house.status("history") == (DEGRADED, "1 of 7 accounts waits")
    work.error = None
    await house.pause_over()
    await house.clock.sleepers()
    assert house.status("history") == (UP, None)


async def test_a_loop_is_woken_but_not_out_of_the_pause_after_a_failure(house: House) -> None:
    work, wake = Work(), asyncio.Event()
    house.loops.start(house.loops.every("history", 60.0, work, wake=wake))
    await house.clock.sleeping_for(60.0)
    work.error = Unavailable("away")
    wake.set()
    (pause_s, *_) = await house.clock.sleepers()
    while pause_s == 60.0:
        await asyncio.sleep(0)
        (pause_s, *_) = await house.clock.sleepers()
    assert work.passes == 2
    wake.set()
    await asyncio.sleep(0)
    assert work.passes == 2
    work.error = None
    house.clock.advance(pause_s)
    await until(lambda: work.passes == 4)  # it was woken meanwhile


async def test_one_that_fails_stops_no_other(house: House) -> None:
    good, bad = Work(), Work()
    bad.error = RuntimeError("broken")
    house.loops.start(house.loops.every("good", 10.0, good))
    house.loops.start(house.loops.every("bad", 10.0, bad))
    for _ in range(4):
        await house.clock.sleepers(2)
        house.clock.advance(10.0)
    await house.clock.sleepers(2)
    assert (good.passes, bad.passes) == (5, 5)
    assert house.status("good") == (UP, None)
    assert house.status("bad") == (DOWN, "RuntimeError: broken")


async def test_a_pass_that_hangs_is_seen(house: House) -> None:
    house.loops.start(house.loops.every("check", 5.0, asyncio.Event().wait, limit_s=30.0))
    await asyncio.sleep(0)
    house.clock.advance(30.0)
    assert house.part("check").status is UP
    house.clock.advance(1.0)
    assert house.status("check") == (DEGRADED, "has been running for 31 s")


async def test_a_loop_ends_when_it_is_cancelled_even_if_its_work_turns_that_into_an_error(
    house: House,
) -> None:
    began = asyncio.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ConnectionError("the driver's own word for it") from None

    task = asyncio.create_task(house.loops.every("rude", 1.0, work).run())
    await began.wait()
    task.cancel()
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.wait([task])
    assert task.cancelled()


async def test_endless_work_that_ends_or_fails_is_started_again(house: House) -> None:
    contexts: asyncio.Queue[LoopContext] = asyncio.Queue()
    ends: asyncio.Queue[Exception | None] = asyncio.Queue()

    async def work(context: LoopContext) -> None:
        contexts.put_nowait(context)
        end = await ends.get()
        if end is not None:
            raise end

    house.loops.start(house.loops.run("stream", work, health=house.loops.watch("stream", down_after=2)))
    context = await contexts.get()
    context.health.succeeded("3 accounts")
    assert house.status("stream") == (UP, "3 accounts")
    ends.put_nowait(None)
    await house.pause_over()
    assert house.status("stream") == (DEGRADED, "it ended")
    ends.put_nowait(ValueError("nonsense"))
    await contexts.get()
    await house.clock.sleepers()
    assert house.status("stream") == (DOWN, "ValueError: nonsense")
    house.clock.advance(MAX_PAUSE_S)
    (await contexts.get()).health.succeeded()
    assert house.status("stream") == (UP, None)


async def test_the_pause_starts_anew_after_endless_work_went_well(house: House) -> None:
    good = False

    async def work(context: LoopContext) -> None:
        if good:
            context.health.succeeded()
        raise Unavailable("away")

    house.loops.start(house.loops.run("stream", work))
    pauses_s = [await house.pause_over() for _ in range(6)]
    assert pauses_s[-1] > 4
    good = True
    await house.pause_over()
    assert await house.pause_over() <= 0.5


async def test_metrics_tell_of_failures_and_the_last_success(house: House) -> None:
    work = Work()
    house.loops.start(house.loops.every("purge", 60.0, work, part="keys"))
    await house.pause_over()
    work.error = Unavailable("away")
    await house.clock.sleepers()
    read = house.metrics.registry.get_sample_value
    assert read("strongroom_work_failures_total", {"ledger": "toy", "work": "purge.keys"}) == 1
    assert (
        read("strongroom_work_last_success_timestamp_seconds", {"ledger": "toy", "work": "purge.keys"})
        == START_MS / 1000
    )


async def test_a_vital_loop_takes_the_whole_down(house: House) -> None:
    work = Work()
    work.error = Unavailable("away")
    house.loops.start(house.loops.every("database", 5.0, work, down_after=1, vital=True))
    await house.clock.sleepers()
    assert house.health.overall() is DOWN
    assert not house.health.is_ready()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(sqlite_url(str(tmp_path / "leases.db")))
    await migrate(database, [])
    yield database
    await database.close()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110 - threads of the database tell nobody
            await asyncio.sleep(0.001)


async def test_under_a_lease_one_process_works_and_the_other_stands_by(
    house: House, database: Database
) -> None:
    leases: list[Lease] = []

    async def work(context: LoopContext) -> None:
        leases.append(context.term)
        context.health.succeeded("at work")
        await asyncio.Event().wait()

    bad = Work()
    bad.error = RuntimeError("broken")
    loops = house.loops
    first = [loops.run("sync", work), loops.every("sweep", 5.0, bad)]
    assert house.status("sync") == (UP, "not tried yet")
    loops.under(Leases(database, house.clock, holder="one"), "workers", first)
    await until(lambda: len(leases) == 1)
    await until(lambda: bad.passes == 1)
    other = House()
    try:
        other.clock = house.clock
        second = [other.loops.run("sync", work)]
        other.loops.under(Leases(database, house.clock, holder="two"), "workers", second)
        await house.clock.sleeping_for(DEFAULT_TTL_S / 4)
        assert other.status("sync") == (UP, STANDBY)
        assert house.status("sync") == (UP, "at work")
        assert house.status("sweep") == (DEGRADED, "RuntimeError: broken")
        await house.background.close()
        assert house.status("sync") == (UP, STANDBY)
        assert house.status("sweep") == (UP, STANDBY)
        house.clock.advance(DEFAULT_TTL_S)
        await until(lambda: len(leases) == 2)
        assert leases[1].fence > leases[0].fence
        assert other.status("sync") == (UP, "at work")
    finally:
        await other.background.close()


class AwayDatabase(Database):
    """Stores nothing while the test says so."""

    away = False

    async def write(self, work: Unit[T], *, answer_s: float | None = ANSWER_S) -> T:
        if self.away:
            raise ConnectionSevered
        return await super().write(work, answer_s=answer_s)


async def test_a_lease_that_cannot_be_asked_for_is_seen(house: House, database: Database) -> None:
    away = AwayDatabase(database.url)
    away.away = True
    work = Work()
    house.loops.under(
        Leases(away, house.clock, holder="one"), "workers", [house.loops.every("sweep", 5.0, work)]
    )
    await until(lambda: house.part("sweep").status is DEGRADED)
    assert "The database does not answer" in (house.part("sweep").detail or "")
    assert work.passes == 0
    away.away = False
    house.clock.advance(DEFAULT_TTL_S / 4)
    await until(lambda: work.passes == 1)
    await until(lambda: house.part("sweep").status is UP)
    await house.background.close()
    await away.close()


async def test_what_was_known_of_the_work_is_forgotten_with_the_lease(
    house: House, database: Database
) -> None:
    rested: list[str] = []
    work = Work()
    loop = house.loops.every("sweep", 5.0, work, rest=lambda: rested.append("sweep"))
    house.loops.under(Leases(database, house.clock, holder="one"), "workers", [loop])
    await until(lambda: work.passes == 1)
    assert rested == []
    await house.background.close()
    assert rested == ["sweep"]


async def test_what_a_loop_tidies_up_at_the_end_of_its_term_is_waited_for(
    house: House, database: Database
) -> None:
    begun, tidied = asyncio.Event(), asyncio.Event()

    async def work(_context: LoopContext) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(10):
                await asyncio.sleep(0)
            tidied.set()

    loops, quick = house.loops, Work()
    both = [loops.run("sync", work), loops.every("sweep", 5.0, quick)]
    loops.under(Leases(database, house.clock, holder="one"), "workers", both)
    await until(lambda: begun.is_set() and quick.passes == 1)
    await house.background.close()
    assert tidied.is_set()
