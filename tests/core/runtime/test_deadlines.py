"""Time limits that end together."""

import asyncio

import pytest

from strongroom.core.errors import OutcomeUnknown
from strongroom.core.runtime.deadlines import Deadlines
from support.waiting import PATIENCE_S

pytestmark = pytest.mark.anyio


async def wait_under(deadlines: Deadlines, seconds: float) -> None:
    async with deadlines.limit(seconds):
        await asyncio.Event().wait()


async def test_a_limit_ends_what_takes_longer() -> None:
    with pytest.raises(TimeoutError):
        await wait_under(Deadlines(), 0.01)


async def test_what_ends_in_time_is_left_alone() -> None:
    deadlines = Deadlines()
    async with deadlines.limit(0.01):
        pass
    deadlines.end()
    await asyncio.sleep(0.02)  # longer than the limit that was


async def test_the_end_comes_for_all_who_wait_and_for_who_comes_later() -> None:
    deadlines = Deadlines()
    waiting = [asyncio.create_task(wait_under(deadlines, 3600)) for _ in range(3)]
    await asyncio.sleep(0)
    deadlines.end()
    async with asyncio.timeout(PATIENCE_S):
        ends = await asyncio.gather(*waiting, wait_under(deadlines, 3600), return_exceptions=True)
    assert [type(end) for end in ends] == [TimeoutError] * 4


async def test_the_end_may_come_twice_and_while_a_limit_runs_out() -> None:
    deadlines = Deadlines()
    waiting = asyncio.create_task(wait_under(deadlines, 3600))
    await asyncio.sleep(0)
    deadlines.end()
    deadlines.end()
    with pytest.raises(TimeoutError):
        await waiting


async def test_a_time_limit_gives_the_open_outcome_instead_of_a_timeout() -> None:
    async def leave_work_behind() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as cancelled:
            raise cancelled from OutcomeUnknown("It goes on")

    with pytest.raises(OutcomeUnknown, match="It goes on"):
        async with Deadlines().limit(0.01):
            await leave_work_behind()
