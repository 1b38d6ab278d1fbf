"""How a process ends."""

import asyncio

from strongroom.core.runtime.stopping import Stop
from support.waiting import eventually

LONG_S = 3600.0


async def test_the_first_signal_drains_and_the_second_one_ends_the_wait() -> None:
    drained: list[str] = []
    stop = Stop(lambda: drained.append("once"), drain_s=LONG_S)
    waiting = asyncio.ensure_future(stop.wait())
    stop.ask()
    await waiting
    assert drained == ["once"]
    ending = asyncio.ensure_future(stop.drained())
    await asyncio.sleep(0)
    assert not ending.done()
    stop.ask()
    await eventually(ending.done)
    assert drained == ["once"]


async def test_without_a_time_for_draining_nobody_waits() -> None:
    stop = Stop()
    stop.ask()
    await stop.drained()


async def test_a_process_that_ends_by_itself_drains_as_well() -> None:
    drained: list[str] = []
    stop = Stop(lambda: drained.append("once"))
    stop.begin()
    stop.begin()
    assert drained == ["once"]
    await stop.wait()
