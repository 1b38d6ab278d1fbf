"""A peer that answers no ping counts as dead."""

import asyncio

from strongroom.core.http.connections.frame_rate import FrameRate
from strongroom.core.http.connections.keepalive import Keepalive
from support.raw_http import Timers

EVERY_S = 1e3


async def test_who_answers_stays_and_who_does_not_is_gone() -> None:
    pings: list[bytes] = []
    gone = asyncio.Event()
    with Timers() as timers:
        keepalive = Keepalive(EVERY_S, pings.append, gone.set)
        keepalive.start()
        for number in range(1, 4):
            await timers.run_out(EVERY_S)
            assert len(pings) == number
            keepalive.answered(pings[-1])
        await timers.run_out(EVERY_S)
        assert not gone.is_set()
        keepalive.answered(pings[0])  # an old one
        await timers.run_out(EVERY_S)
        assert gone.is_set()
    assert len(set(pings)) == len(pings) == 4


async def test_after_the_stop_the_loop_asks_nothing() -> None:
    pings: list[bytes] = []
    keepalive = Keepalive(0.0, pings.append, lambda: None)
    keepalive.start()
    keepalive.stop()
    keepalive.stop()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert pings == []


def test_a_pause_earns_frames_up_to_a_minutes_worth() -> None:
    now_s = 0.0
    rate = FrameRate(60, lambda: now_s)
    assert rate.allows(60)
    assert not rate.allows(1)
    now_s = 3.0
    assert rate.allows(2)  # three were earned, and one was owed
    assert not rate.allows(1)
    now_s = 1_000.0
    assert rate.allows(60)
    assert not rate.allows(1)
