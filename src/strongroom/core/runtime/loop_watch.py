"""Notices when the event loop was busy for so long that all clients had to wait."""

from collections import deque

from strongroom.core.clock import Clock
from strongroom.core.runtime.telemetry import ComponentHealth, Health, Metrics, Status

COMPONENT = "eventLoop"
EVERY_S = 0.25
TOO_BUSY_S = 2.0
REMEMBERED_S = 60.0


class LoopWatch:
    """Sleeps for a moment again and again. The time by which it wakes up late is the time that every client waited."""

    def __init__(self, clock: Clock, health: Health, metrics: Metrics) -> None:
        self._clock = clock
        self._lag = metrics.event_loop_lag
        self._busy: deque[tuple[float, float]] = deque()
        health.watch(COMPONENT, self.check)

    async def run(self) -> None:
        while True:
            begun_s = self._clock.monotonic_s()
            await self._clock.sleep(EVERY_S)
            now_s = self._clock.monotonic_s()
            lag_s = max(0.0, now_s - begun_s - EVERY_S)
            self._lag.observe(lag_s)
            if lag_s >= TOO_BUSY_S:
                self._busy.append((now_s, lag_s))

    def check(self) -> ComponentHealth:
        """Health: DEGRADED for a minute after the loop was busy for two seconds or more at a time."""
        now_s = self._clock.monotonic_s()
        while self._busy and self._busy[0][0] < now_s - REMEMBERED_S:
            self._busy.popleft()
        if not self._busy:
            return ComponentHealth(status=Status.UP)
        worst_s = max(lag_s for _, lag_s in self._busy)
        return ComponentHealth(
            status=Status.DEGRADED,
            detail=f"The event loop was busy within the last minute: no client was answered for {worst_s:.1f} s",
        )
