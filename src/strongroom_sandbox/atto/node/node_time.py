"""The node's own clock, which a fault can set wrong."""

from strongroom.core.clock import Clock
from strongroom_sandbox.atto.faults.faults import Faults


class NodeTime:
    """The network's time, moved by the fault `clock_ahead_ms`."""

    def __init__(self, clock: Clock, faults: Faults) -> None:
        self._clock = clock
        self._faults = faults

    def now_ms(self) -> int:
        return self._clock.now_ms() + self._faults.clock_ahead_ms

    def monotonic_s(self) -> float:
        return self._clock.monotonic_s()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
