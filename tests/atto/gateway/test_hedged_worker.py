"""A source of proof of work that is silent or fails does not hold up who waits for work."""

import asyncio
from collections.abc import Callable

import pytest

from strongroom.atto.gateway import WorkUnavailable
from strongroom.atto.gateway.hedged_worker import HedgedWorker
from strongroom.atto.protocol import Network
from support.clock import ManualClock

WORK, OTHER = bytes(8), bytes([1]) * 8
HEDGE_S = 5.0


class Source:
    """Gives what `answers` says, one after the other: work, a failure, or (None) nothing ever."""

    def __init__(self, *answers: bytes | WorkUnavailable | None) -> None:
        self._answers = list(answers)
        self.asked = 0
        self.cancelled = 0

    async def work(self, _network: Network, _timestamp_ms: int, _target: bytes) -> bytes:
        self.asked += 1
        answer = self._answers.pop(0)
        if isinstance(answer, WorkUnavailable):
            raise answer
        if answer is None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        assert answer is not None
        return answer


def failure() -> WorkUnavailable:
    return WorkUnavailable("no")


def asking(worker: HedgedWorker) -> asyncio.Task[bytes]:
    return asyncio.create_task(worker.work(Network.LOCAL, 0, bytes(32)))


async def settle(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - a few turns of the loop, no time
        await asyncio.sleep(0)


async def test_a_source_that_answers_is_asked_once() -> None:
    source = Source(WORK)
    assert await asking(HedgedWorker([source, source], ManualClock(), HEDGE_S)) == WORK
    assert source.asked == 1


async def test_a_silent_request_is_repeated_beside_it_and_the_first_answer_counts() -> None:
    clock, source = ManualClock(), Source(None, WORK)
    work = asking(HedgedWorker([source, source, source], clock, HEDGE_S))
    await settle(lambda: source.asked == 1)
    clock.advance(HEDGE_S - 0.1)
    await settle(lambda: True)
    assert source.asked == 1
    clock.advance(0.2)
    assert await work == WORK
    assert (source.asked, source.cancelled) == (2, 1)


async def test_each_pause_is_twice_the_one_before() -> None:
    clock, source = ManualClock(), Source(None, None, WORK)
    work = asking(HedgedWorker([source, source, source], clock, HEDGE_S))
    await settle(lambda: source.asked == 1)
    clock.advance(HEDGE_S)
    await settle(lambda: source.asked == 2)
    clock.advance(HEDGE_S)
    await asyncio.sleep(0)
    assert not work.done()
    clock.advance(HEDGE_S)
    assert await work == WORK
    assert source.cancelled == 2


@pytest.mark.parametrize("first", [failure(), None])
async def test_another_source_takes_over(first: WorkUnavailable | None) -> None:
    clock, silent, second = ManualClock(), Source(first), Source(OTHER)
    work = asking(HedgedWorker([silent, second], clock, HEDGE_S))
    await settle(lambda: silent.asked == 1)
    if first is None:
        await asyncio.sleep(0)
        clock.advance(HEDGE_S)
    assert await work == OTHER


async def test_a_source_that_failed_is_not_asked_again() -> None:
    source = Source(failure())
    with pytest.raises(WorkUnavailable):
        await asking(HedgedWorker([source, source, source], ManualClock(), HEDGE_S))
    assert source.asked == 1


async def test_the_one_that_was_only_slow_still_counts_when_the_other_fails() -> None:
    clock = ManualClock()
    may_answer = asyncio.Event()

    class Slow(Source):
        async def work(self, _network: Network, _timestamp_ms: int, _target: bytes) -> bytes:
            self.asked += 1
            await may_answer.wait()
            return WORK

    slow, second = Slow(), Source(failure())
    work = asking(HedgedWorker([slow, second], clock, HEDGE_S))
    await settle(lambda: slow.asked == 1)
    await asyncio.sleep(0)
    clock.advance(HEDGE_S)
    await settle(lambda: second.asked == 1)
    may_answer.set()
    assert await work == WORK


async def test_who_gives_up_leaves_no_search_behind() -> None:
    source = Source(None)
    work = asking(HedgedWorker([source], ManualClock(), HEDGE_S))
    await settle(lambda: source.asked == 1)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert source.cancelled == 1
