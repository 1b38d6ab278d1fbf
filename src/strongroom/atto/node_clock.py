"""The node's time, and whether the node is there."""

import structlog

from strongroom.atto.gateway import Node, NodeDishonest
from strongroom.core.clock import Clock

log = structlog.get_logger(__name__)

COMPONENT = "attoNode"
REFRESH_S = 5.0
LARGE_OFFSET_MS = 5_000
IMPOSSIBLE_OFFSET_MS = 24 * 3600 * 1000


class NodeClock:
    """Block timestamps follow the node's clock, asked in the background and never in the way of a send."""

    def __init__(self, node: Node, clock: Clock) -> None:
        self._node = node
        self._clock = clock
        self._offset_ms = 0

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
        if abs(offset_ms) > LARGE_OFFSET_MS:
            log.warning("this machine's clock differs from the node's", offset_ms=offset_ms)
