"""A lease has one holder at a time, and each term has its own fence."""

import asyncio
import time
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, text

from core.accounts import add, balances, create_accounts
from strongroom.core.coordination.lease import DEFAULT_TTL_S, MAX_SKEW_S, Lease, Leases
from strongroom.core.errors import LeaseLost
from strongroom.core.storage.database import Database
from support.clock import ManualClock

FORGOTTEN_S = DEFAULT_TTL_S + MAX_SKEW_S
"""After this, a process that has not watched the lease believes that it has expired."""


@pytest.fixture
def first(database: Database, clock: ManualClock) -> Leases:
    return Leases(database, clock, holder="first")


@pytest.fixture
def second(replica: Database, clock: ManualClock) -> Leases:
    return Leases(replica, clock, holder="second")


async def taken(leases: Leases, name: str = "work") -> Lease:
    lease = await leases.acquire(name)
    assert lease is not None
    return lease


async def test_one_of_many_takes_a_new_lease(first: Leases, second: Leases) -> None:
    found = await asyncio.gather(*(leases.acquire("work") for leases in [first, second] * 6))
    assert len([lease for lease in found if lease is not None]) == 1


async def test_a_held_lease_is_refused_to_everyone(first: Leases, second: Leases) -> None:
    assert await taken(first) == Lease(name="work", holder="first", fence=1)
    assert await second.acquire("work") is None
    assert await first.acquire("work") is None
    assert await second.acquire("other work") == Lease(name="other work", holder="second", fence=1)


async def test_an_expired_lease_goes_to_one_of_many_with_a_higher_fence(
    first: Leases, second: Leases, clock: ManualClock
) -> None:
    await taken(first)
    assert await second.is_held("work")
    assert await first.is_held("work")
    clock.advance(DEFAULT_TTL_S - 0.001)
    assert await second.acquire("work") is None
    assert await second.is_held("work")
    clock.advance(0.001)
    assert not await second.is_held("work")
    found = await asyncio.gather(*(leases.acquire("work") for leases in [second, first] * 6))
    assert [lease.fence for lease in found if lease is not None] == [2]


@pytest.mark.parametrize("ahead_s", [-30, 30])
async def test_calendars_of_two_hosts_may_differ(
    database: Database, replica: Database, clock: ManualClock, ahead_s: int
) -> None:
    """A living holder keeps its lease, and a dead one is followed after one term, whatever the other's calendar says."""
    other = ManualClock(clock.now_ms() + ahead_s * 1000)
    first, second = (
        Leases(database, clock, holder="first"),
        Leases(replica, other, holder="second"),
    )
    lease = await taken(first)
    for _ in range(5):
        assert await second.acquire("work") is None
        for each in (clock, other):
            each.advance(DEFAULT_TTL_S / 2)
        await first.renew(lease)
    assert await second.is_held("work")
    other.advance(DEFAULT_TTL_S - 0.001)
    assert await second.acquire("work") is None
    other.advance(0.001)
    assert await taken(second) == Lease(name="work", holder="second", fence=2)


async def test_who_comes_long_after_the_holder_died_does_not_wait(
    first: Leases, second: Leases, clock: ManualClock
) -> None:
    await taken(first)
    clock.advance(FORGOTTEN_S - 0.001)
    assert await second.acquire("work") is None
    clock.advance(0.001)
    assert await taken(second) == Lease(name="work", holder="second", fence=2)


async def test_a_released_lease_is_free_at_once(first: Leases, second: Leases) -> None:
    await first.release(await taken(first))
    assert not await first.is_held("work")
    assert await taken(second) == Lease(name="work", holder="second", fence=2)


async def test_a_renewed_lease_lasts(first: Leases, second: Leases, clock: ManualClock) -> None:
    lease = await taken(first)
    for _ in range(3):
        clock.advance(DEFAULT_TTL_S - 1)
        await first.renew(lease)
        await first.renew(lease)  # within the same millisecond: nothing changes, and nothing is lost
        assert await second.acquire("work") is None


async def test_a_former_holder_can_neither_renew_nor_release(
    first: Leases, second: Leases, clock: ManualClock
) -> None:
    former = await taken(first)
    clock.advance(FORGOTTEN_S)
    await taken(second)
    with pytest.raises(LeaseLost, match="work"):
        await first.renew(former)
    await first.release(former)
    assert await second.is_held("work")


async def test_a_former_holder_writes_nothing(
    first: Leases, second: Leases, clock: ManualClock, database: Database
) -> None:
    await create_accounts(database, "a")

    def work(lease: Lease) -> Callable[[Connection], None]:
        def unit(connection: Connection) -> None:
            add(connection, "a", 1)
            lease.check(connection)

        return unit

    former = await taken(first)
    await database.write(work(former))
    clock.advance(FORGOTTEN_S)
    await database.write(work(former))  # nobody else has it: the term stands
    present = await taken(second)
    with pytest.raises(LeaseLost):
        await database.write(work(former))
    await database.write(work(present))
    assert await balances(database) == {"a": 3}
    with pytest.raises(LeaseLost):
        await database.read(Lease(name="unknown", holder="first", fence=1).check)


def dawdle(connection: Connection) -> None:
    """Makes the transaction slow, so that another process that does not wait for it overtakes it."""
    if connection.dialect.name == "sqlite":
        time.sleep(0.2)
    else:
        connection.execute(text("SELECT SLEEP(0.2)"))


async def test_a_checked_unit_holds_off_the_next_holder(
    first: Leases, second: Leases, clock: ManualClock, database: Database
) -> None:
    """What was checked is still true at the commit."""
    lease = await taken(first)
    loop = asyncio.get_running_loop()
    clock.advance(FORGOTTEN_S)
    order: list[str] = []
    successor: asyncio.Task[Lease | None] | None = None

    def start_successor() -> None:
        nonlocal successor
        successor = asyncio.create_task(second.acquire("work"))
        successor.add_done_callback(lambda _: order.append("taken"))

    def unit(connection: Connection) -> None:
        lease.check(connection)
        loop.call_soon_threadsafe(start_successor)
        dawdle(connection)
        order.append("checked")

    await database.write(unit)
    assert successor is not None
    assert await successor == Lease(name="work", holder="second", fence=2)
    assert order == ["checked", "taken"]
