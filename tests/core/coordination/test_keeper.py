"""Work that one process does at a time."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy.engine import URL
from structlog.testing import capture_logs
from structlog.typing import EventDict

from strongroom.core.clock import SystemClock
from strongroom.core.coordination.keeper import MAX_SILENCE_S
from strongroom.core.coordination.lease import DEFAULT_TTL_S, LOOKS, MAX_SKEW_S, Lease, Leases
from strongroom.core.storage.database import ANSWER_S, Database, T, Work, sqlite_url
from strongroom.core.storage.errors import ConnectionSevered
from strongroom.core.storage.migrations import migrate
from support.clock import ManualClock
from support.running import PATIENCE_S, running

RENEWAL_S = DEFAULT_TTL_S / 4
LOOK_S = DEFAULT_TTL_S / LOOKS


class Job:
    """Work under the lease, which reports when it starts and ends."""

    def __init__(self) -> None:
        self._started: asyncio.Queue[Lease] = asyncio.Queue()
        self._ended: asyncio.Queue[Lease] = asyncio.Queue()
        self.outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __call__(self, lease: Lease) -> None:
        self._started.put_nowait(lease)
        try:
            await asyncio.shield(self.outcome)
        finally:
            self._ended.put_nowait(lease)

    @property
    def is_idle(self) -> bool:
        return self._started.empty() and self._ended.empty()

    async def start(self) -> Lease:
        return await asyncio.wait_for(self._started.get(), PATIENCE_S)

    async def end(self) -> Lease:
        return await asyncio.wait_for(self._ended.get(), PATIENCE_S)


@dataclass(slots=True)
class Fault:
    away: bool = False
    silent: bool = False


class FaultyDatabase(Database):
    """Away, or silent, when the test says so."""

    def __init__(self, url: URL) -> None:
        super().__init__(url)
        self.fault = Fault()  # also that of the lease keeper's

    async def write(self, work: Work[T], *, answer_s: float | None = ANSWER_S) -> T:
        if self.fault.silent:
            await asyncio.Event().wait()
        if self.fault.away:
            raise ConnectionSevered
        return await super().write(work, answer_s=answer_s)


@pytest.fixture
async def faulty(database: Database) -> AsyncIterator[FaultyDatabase]:
    faulty = FaultyDatabase(database.url)
    yield faulty
    await faulty.close()


@pytest.fixture
def first(faulty: FaultyDatabase, clock: ManualClock) -> Leases:
    return Leases(faulty, clock, holder="first")


@pytest.fixture
def second(replica: Database, clock: ManualClock) -> Leases:
    return Leases(replica, clock, holder="second")


async def test_who_is_stopped_hands_over_at_once(first: Leases, second: Leases, clock: ManualClock) -> None:
    one, two = Job(), Job()
    async with running(first.lead("work", one)):
        assert await one.start() == Lease(name="work", holder="first", fence=1)
        async with running(second.lead("work", two)):
            await clock.sleepers(2)
            assert two.is_idle
    assert await one.end() == Lease(name="work", holder="first", fence=1)
    assert not await second.is_held("work")
    async with running(second.lead("work", two)):
        assert await two.start() == Lease(name="work", holder="second", fence=2)


async def test_a_leader_that_renews_stays_the_leader(
    first: Leases, second: Leases, clock: ManualClock
) -> None:
    one, two = Job(), Job()
    async with running(first.lead("work", one)):
        await one.start()
        async with running(second.lead("work", two)):
            for _ in range(12):
                await clock.sleepers(2)
                clock.advance(RENEWAL_S)
            await clock.sleepers(2)
            assert one.is_idle
            assert two.is_idle


async def test_a_leader_that_vanished_is_followed_after_its_term(
    first: Leases, second: Leases, clock: ManualClock
) -> None:
    await first.acquire("work")
    two = Job()
    async with running(second.lead("work", two)):
        for _ in range(LOOKS):
            assert two.is_idle
            assert await clock.sleepers(1) == [LOOK_S]
            clock.advance(LOOK_S)
        assert await two.start() == Lease(name="work", holder="second", fence=2)


async def test_a_leader_that_lost_its_lease_stops_and_tries_again(
    first: Leases, clock: ManualClock, elsewhere: Callable[[str], list[list[str]]]
) -> None:
    job = Job()
    async with running(first.lead("work", job)):
        await job.start()
        await clock.sleepers(1)
        elsewhere(
            "UPDATE strongroom_lease SET fence = 2, holder = 'thief', expires_at_ms = expires_at_ms - 1000"
        )
        clock.advance(RENEWAL_S)
        await job.end()
        await clock.sleeping_for(1.0)
        clock.advance(1.0)
        for _ in range(LOOKS):
            assert await clock.sleepers(1) == [LOOK_S]
            assert job.is_idle
            clock.advance(LOOK_S)
        assert await job.start() == Lease(name="work", holder="first", fence=3)


async def test_a_passing_fault_of_the_database_ends_no_term(
    first: Leases, faulty: FaultyDatabase, clock: ManualClock
) -> None:
    job = Job()
    async with running(first.lead("work", job)):
        await job.start()
        for away in (True, False, True, False, False):
            await clock.sleepers(1)
            faulty.fault.away = away
            clock.advance(RENEWAL_S)
        await clock.sleepers(1)
        assert job.is_idle


async def test_work_ends_before_a_lease_that_cannot_be_renewed(
    first: Leases, second: Leases, faulty: FaultyDatabase, clock: ManualClock
) -> None:
    job = Job()
    async with running(first.lead("work", job)):
        await job.start()
        faulty.fault.away = True
        with capture_logs() as logs:
            for _ in range(3):
                assert job.is_idle
                await clock.sleepers(1)
                clock.advance(RENEWAL_S)
            await job.end()
        assert [line["event"] for line in logs].count("lease lost") == 1
        assert await second.is_held("work")
        faulty.fault.away = False
        await clock.sleeping_for(1.0)
        clock.advance(1.0)
        for _ in range(LOOKS):
            assert await clock.sleepers(1) == [LOOK_S]
            clock.advance(LOOK_S)
        assert (await job.start()).fence == 2


async def test_work_ends_also_when_the_database_does_not_answer(tmp_path: Path) -> None:
    faulty = FaultyDatabase(sqlite_url(str(tmp_path / "test.sqlite3")))
    await migrate(faulty, [])
    job = Job()
    async with running(Leases(faulty, SystemClock(), holder="first", ttl_s=3.2).lead("work", job)):
        await job.start()
        faulty.fault.silent = True
        await job.end()
        assert await Leases(faulty, SystemClock(), holder="second").is_held("work")
    await faulty.close()


async def test_the_leader_waits_until_the_database_is_there(
    first: Leases, faulty: FaultyDatabase, clock: ManualClock
) -> None:
    job = Job()
    faulty.fault.away = True
    async with running(first.lead("work", job)):
        await clock.sleepers(1)
        faulty.fault.away = False
        clock.advance(RENEWAL_S)
        assert (await job.start()).fence == 1


@pytest.mark.parametrize("error", [None, RuntimeError("broken")])
async def test_work_that_ended_is_started_again_in_a_new_term(
    first: Leases, clock: ManualClock, error: Exception | None
) -> None:
    job = Job()
    async with running(first.lead("work", job)):
        await job.start()
        await clock.sleepers(1)
        if error is None:
            job.outcome.set_result(None)
        else:
            job.outcome.set_exception(error)
        await job.end()
        await clock.sleeping_for(1.0)
        clock.advance(1.0)
        assert (await job.start()).fence == 2


def hold_the_event_loop(clock: ManualClock, seconds: float) -> None:
    """Blocks the event loop as a large answer does; the time advances in steps, and other threads run."""
    for _ in range(int(seconds / RENEWAL_S)):
        clock.hold_until(lambda: bool(clock.remaining_s()))
        clock.advance(RENEWAL_S)


async def test_a_lease_outlives_a_busy_event_loop(first: Leases, second: Leases, clock: ManualClock) -> None:
    job = Job()
    async with running(first.lead("work", job)):
        await job.start()
        await clock.sleepers(1)
        hold_the_event_loop(clock, 5 * DEFAULT_TTL_S)
        clock.hold_until(lambda: bool(clock.remaining_s()))
        assert await second.acquire("work") is None
        assert job.is_idle


async def test_a_hung_event_loop_loses_its_lease(first: Leases, second: Leases, clock: ManualClock) -> None:
    one = Job()
    given_up = threading.Event()

    def notice(_logger: object, _method: str, line: EventDict) -> EventDict:
        if "hung" in line["event"]:
            given_up.set()
        return line

    with capture_logs(processors=[notice]) as logs:
        async with running(first.lead("work", one)):
            lease = await one.start()
            await clock.sleepers(1)
            hold_the_event_loop(clock, MAX_SILENCE_S + 2 * RENEWAL_S)
            assert given_up.wait(PATIENCE_S)
            clock.advance(DEFAULT_TTL_S + MAX_SKEW_S)
            successor = await second.acquire("work")
            assert successor == Lease(name="work", holder="second", fence=lease.fence + 1)
            assert await one.end() == lease
    busy = next(line for line in logs if line["event"] == "the event loop is busy")
    assert "hold_the_event_loop" in busy["at"]
    assert "the event loop runs again" in [line["event"] for line in logs]


async def test_the_keepers_thread_ends_with_the_last_work(first: Leases) -> None:
    job, other = Job(), Job()
    async with running(first.lead("work", job)):
        await job.start()
        async with running(first.lead("other", other)):
            await other.start()
            assert len(keepers()) == 1
        assert len(keepers()) == 1
    assert keepers() == []


def keepers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "lease-keeper"]
