"""A busy event loop is seen."""

from strongroom.core.runtime.loop_watch import COMPONENT, EVERY_S, REMEMBERED_S, TOO_BUSY_S, LoopWatch
from strongroom.core.runtime.telemetry import Health, Metrics, Status
from support.clock import ManualClock
from support.running import running


async def test_a_busy_loop_is_seen_for_a_minute(clock: ManualClock) -> None:
    health, metrics = Health(), Metrics("test")
    async with running(LoopWatch(clock, health, metrics).run()):
        for _ in range(3):
            await clock.sleepers()
            clock.advance(EVERY_S)
        await clock.sleepers()
        assert health.components()[COMPONENT].status is Status.UP
        clock.advance(EVERY_S + TOO_BUSY_S + 1)
        await clock.sleepers()
        component = health.components()[COMPONENT]
        assert component.status is Status.DEGRADED
        assert component.detail is not None
        assert "3.0 s" in component.detail
        assert health.is_ready()
        for _ in range(int(REMEMBERED_S / EVERY_S) + 1):
            clock.advance(EVERY_S)
            await clock.sleepers()
        assert health.components()[COMPONENT].status is Status.UP
    seen = metrics.registry.get_sample_value("strongroom_event_loop_lag_seconds_sum")
    assert seen is not None
    assert abs(seen - (TOO_BUSY_S + 1)) < 1e-6
