"""Knows the node's time, which the timestamps of blocks follow.

Between two questions to the node, the monotonic clock measures the time, so that a change of this machine's wall clock
changes no timestamp. When the node's clock jumps, signing waits until the new time has proved steady: the network refuses a
block with a wrong time, or the account must wait until that time has come.
"""

import structlog

from strongroom.atto.gateway import InvalidNodeResponse, Node
from strongroom.core.clock import Clock
from strongroom.core.errors import Unavailable
from strongroom.core.runtime.telemetry import ComponentHealth, Status

log = structlog.get_logger(__name__)

COMPONENT = "attoNode"
TIME = "attoNodeClock"
REFRESH_S = 5.0
LARGE_OFFSET_MS = 5_000
IMPOSSIBLE_OFFSET_MS = 24 * 3600 * 1000
JUMP_MS = 5_000
STEPPED_MS = 2_000
"""If our wall clock and our monotonic clock differ by more, one of them was set or the machine slept."""
STEADY_CHECKS = 12
"""After a jump away from our clock, the node must confirm its new time this many times, which takes a minute."""


class NodeClock:
    """The node's clock. A background loop asks the node, so that a send does not wait for it."""

    def __init__(self, node: Node, clock: Clock) -> None:
        self._node = node
        self._clock = clock
        self._base: tuple[int, int, float] | None = None
        """The node's time, our wall clock and our monotonic clock at the same moment."""
        self._jump: str | None = None
        """The error text while signing waits after a jump; None while the clock is steady."""
        self._candidate_ms = 0.0
        self._checks = 0

    def now_ms(self) -> int:
        """The node's time, or this machine's until the node has answered once."""
        if self._base is None:
            return self._clock.now_ms()
        node_ms, _, since_s = self._base
        return node_ms + int((self._clock.monotonic_s() - since_s) * 1000)

    async def require_steady(self) -> None:
        """Returns when the time may be used for a signature.

        Raises:
            Unavailable: the node's clock has jumped, or our clock has and the node does not answer.
        """
        if self._has_stepped():
            await self.refresh()
        if self._jump is not None:
            raise Unavailable(f"{self._jump}; nothing was signed, try again later", code="node_clock")

    async def refresh(self) -> None:
        """Asks the node for its time.

        Raises:
            NodeUnavailable: the node does not answer.
            InvalidNodeResponse: its time is more than a day from this machine's, so one of the two must be wrong.
        """
        offset_ms = await self._node.clock_offset_ms()
        wall_ms, monotonic_s = self._clock.now_ms(), self._clock.monotonic_s()
        moved_ms = wall_ms + offset_ms - self.now_ms()
        if abs(offset_ms) > IMPOSSIBLE_OFFSET_MS:
            words = "The node's clock and this machine's are more than a day apart"
            if self._base is not None:
                self._note_jump(words)
            raise InvalidNodeResponse(words)
        # A jump towards our own clock is a correction and is followed at once.
        if (
            self._base is not None
            and abs(moved_ms) > JUMP_MS
            and abs(offset_ms) > LARGE_OFFSET_MS
            and not self._is_confirmed(wall_ms + offset_ms - monotonic_s * 1000)
        ):
            self._note_jump(f"The node's clock has jumped by {moved_ms / 1000:.0f} s")
            return
        self._base = (wall_ms + offset_ms, wall_ms, monotonic_s)
        self._jump, self._checks = None, 0
        if abs(offset_ms) > LARGE_OFFSET_MS:
            log.warning("this machine's clock differs from the node's", offset_ms=offset_ms)

    def steadiness(self) -> ComponentHealth:
        """Health: DEGRADED while signing waits for a steady clock."""
        if self._jump is None:
            return ComponentHealth(status=Status.UP)
        detail = f"{self._jump}; signing waits until it is steady"
        return ComponentHealth(status=Status.DEGRADED, detail=detail)

    def _has_stepped(self) -> bool:
        if self._base is None:
            return False
        _, wall_ms, since_s = self._base
        by_wall_clock_ms = self._clock.now_ms() - wall_ms
        return abs(by_wall_clock_ms - (self._clock.monotonic_s() - since_s) * 1000) > STEPPED_MS

    def _is_confirmed(self, candidate_ms: float) -> bool:
        """Whether the node has kept its new time long enough."""
        same = self._checks > 0 and abs(candidate_ms - self._candidate_ms) <= STEPPED_MS
        self._checks = self._checks + 1 if same else 1
        self._candidate_ms = candidate_ms
        return self._checks > STEADY_CHECKS

    def _note_jump(self, words: str) -> None:
        if self._jump is None:
            log.error("the node's clock has jumped; signing waits", why=words)
        self._jump = words
