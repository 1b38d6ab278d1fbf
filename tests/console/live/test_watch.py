"""Viewers are told that something changed, by one reading for all of them."""

import asyncio

import pytest

from strongroom.console.live.watch import LOOK_S, MAX_OF_ONE, MAX_SUBJECTS, Viewing, Watch
from strongroom.core.errors import RateLimited, Unavailable
from support.clock import ManualClock

pytestmark = pytest.mark.anyio


class Subject:
    def __init__(self) -> None:
        self.content = b"a"
        self.reads = 0
        self.is_away = False
        self.is_broken = False

    async def read(self) -> bytes:
        self.reads += 1
        if self.is_away:
            raise Unavailable("away")
        if self.is_broken:
            raise KeyError("a defect")
        return self.content


async def look(clock: ManualClock, sleepers: int = 1) -> None:
    await clock.sleepers(sleepers)
    clock.advance(LOOK_S)
    await clock.sleepers(sleepers)


async def test_a_change_is_told_once_to_every_viewer(clock: ManualClock) -> None:
    subject, watch = Subject(), Watch(clock)
    async with (
        watch.viewing("x", subject.read, "ann") as one,
        watch.viewing("x", subject.read, "bob") as other,
    ):
        await look(clock)
        assert subject.reads == 2
        subject.content = b"b"
        await look(clock)
        for viewing in (one, other):
            assert await viewing.changed(0.0)
            assert await ends_without(viewing, clock)
        assert watch.viewers == 2
    assert watch.viewers == 0


async def ends_without(viewing: Viewing, clock: ManualClock) -> bool:
    waiting = asyncio.ensure_future(viewing.changed(0.1))
    await clock.sleepers(2)
    clock.advance(0.1)
    return not await waiting


async def test_nobody_looks_on_when_nobody_watches(clock: ManualClock) -> None:
    subject, watch = Subject(), Watch(clock)
    async with watch.viewing("x", subject.read, "ann"):
        await clock.sleepers(1)
    assert clock.remaining_s() == []


async def test_what_was_away_is_told_when_it_is_back(clock: ManualClock) -> None:
    subject, watch = Subject(), Watch(clock)
    async with watch.viewing("x", subject.read, "ann") as viewing:
        await clock.sleepers(1)
        subject.is_away = True
        await look(clock)
        subject.is_away, subject.content = False, b"b"
        await look(clock)
        assert await viewing.changed(0.0)


async def test_a_defect_of_one_reading_ends_no_watching(clock: ManualClock) -> None:
    subject, watch = Subject(), Watch(clock)
    async with watch.viewing("x", subject.read, "ann") as viewing:
        await clock.sleepers(1)
        subject.is_broken = True
        await look(clock)
        subject.is_broken, subject.content = False, b"b"
        await look(clock)
        assert await viewing.changed(0.0)


async def test_it_is_bounded_and_ends(clock: ManualClock) -> None:
    subject, watch = Subject(), Watch(clock)
    async with watch.viewing("0", subject.read, "0") as first:
        opened = [watch.viewing(str(number), subject.read, str(number)) for number in range(1, MAX_SUBJECTS)]
        for one in opened:
            await one.__aenter__()
        with pytest.raises(RateLimited):
            await watch.viewing("another", subject.read, "another").__aenter__()
        await watch.close()
        assert first.is_over
        assert not await first.changed(10.0)
        for one in opened:
            await one.__aexit__(None, None, None)


async def test_one_caller_leaves_room_for_others(clock: ManualClock) -> None:
    subject, watch = Subject(), Watch(clock)
    opened = [watch.viewing(f"payment {number}", subject.read, "greedy") for number in range(MAX_OF_ONE)]
    for one in opened:
        await one.__aenter__()
    with pytest.raises(RateLimited):
        await watch.viewing("payment 0", subject.read, "greedy").__aenter__()
    async with watch.viewing("payment 0", subject.read, "other"):
        assert watch.viewers == MAX_OF_ONE + 1
    for one in opened:
        await one.__aexit__(None, None, None)
    assert watch.viewers == 0
