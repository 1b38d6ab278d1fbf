"""The node's time, and whether the node is there."""

import structlog

from strongroom.atto.gateway import Node, NodeDishonest
from strongroom.core.backoff import Backoff
from strongroom.core.clock import Clock, Entropy
from strongroom.core.errors import StrongroomError
from strongroom.core.telemetry import Health, Status

log = structlog.get_logger(__name__)

COMPONENT = "attoNode"
REFRESH_S = 5.0
LARGE_OFFSET_MS = 5_000
IMPOSSIBLE_OFFSET_MS = 24 * 3600 * 1000


class NodeClock:
    """Block timestamps follow the node's clock, asked in the background and never in the way of a send."""

    def __init__(self, node: Node, clock: Clock, entropy: Entropy, health: Health) -> None:
        self._node = node
        self._clock = clock
        self._backoff = Backoff(clock, entropy, first_s=0.5, cap_s=REFRESH_S)
        self._health = health
        self._offset_ms = 0
        health.report(COMPONENT, Status.DOWN, "not reached yet")

    def now_ms(self) -> int:
        return self._clock.now_ms() + self._offset_ms

    async def refresh(self) -> None:
        """Asks the node.

        Raises:
            NodeUnavailable
            NodeDishonest: its time is days away from this machine's; nothing is signed with such a timestamp.
        """
        offset_ms = await self._node.clock_offset_ms()
        if abs(offset_ms) > IMPOSSIBLE_OFFSET_MS:
            raise NodeDishonest("The node's clock and this machine's are more than a day apart")
        self._offset_ms = offset_ms

    async def run(self) -> None:
        """Keeps the offset and the node's health up to date until cancelled."""
        while True:
            try:
                await self.refresh()
            except StrongroomError as error:
                self._health.report(COMPONENT, Status.DOWN, error.message)
                await self._backoff.wait()
                continue
            if abs(self._offset_ms) > LARGE_OFFSET_MS:
                log.warning("this machine's clock differs from the node's", offset_ms=self._offset_ms)
            self._health.report(COMPONENT, Status.UP)
            self._backoff.reset()
            await self._clock.sleep(REFRESH_S)
