"""The node's time, and whether the node is there.

Between two questions the time goes on by the monotonic clock, so that a step of this machine's calendar moves no
timestamp. A node whose clock jumps is not followed at once: what is signed with a wrong time is refused by the
network, or holds its account until that time has come.
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
"""Our calendar and our monotonic clock apart by more: one of them was set, or the machine slept."""
STEADY_CHECKS = 12
"""After a jump away from our clock the node must say so many times that this is its time: a minute."""


class NodeClock:
    """Block timestamps follow the node's clock, asked in the background and never in the way of a send."""

    def __init__(self, node: Node, clock: Clock) -> None:
        self._node = node
        self._clock = clock
        self._base: tuple[int, int, float] | None = None
        """The node's time, our calendar and our monotonic clock at the same moment."""
        self._jump: str | None = None
        self._candidate_ms = 0.0
        self._checks = 0

    def now_ms(self) -> int:
        """The node's time; this machine's while the node has not said."""
        if self._base is None:
            return self._clock.now_ms()
        node_ms, _, since_s = self._base
        return node_ms + int((self._clock.monotonic_s() - since_s) * 1000)

    async def require_steady(self) -> None:
        """Before a signature.

        Raises:
            Unavailable: the node's clock has jumped, or ours and the node cannot be asked; nothing must be signed.
        """
        if self._has_stepped():
            await self.refresh()
        if self._jump is not None:
            raise Unavailable(f"{self._jump}; nothing was signed, try again later", code="node_clock")

    async def refresh(self) -> None:
        """Asks the node.

        Raises:
            NodeUnavailable
            InvalidNodeResponse: its time is days away from this machine's; nothing is signed with such a timestamp.
        """
        offset_ms = await self._node.clock_offset_ms()
        wall_ms, monotonic_s = self._clock.now_ms(), self._clock.monotonic_s()
        moved_ms = wall_ms + offset_ms - self.now_ms()
        if abs(offset_ms) > IMPOSSIBLE_OFFSET_MS:
            words = "The node's clock and this machine's are more than a day apart"
            if self._base is not None:
                self._note_jump(words)
            raise InvalidNodeResponse(words)
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
        """DEGRADED while signing waits for the clock."""
        if self._jump is None:
            return ComponentHealth(status=Status.UP)
        detail = f"{self._jump}; signing waits until it is steady"
        return ComponentHealth(status=Status.DEGRADED, detail=detail)

    def _has_stepped(self) -> bool:
        if self._base is None:
            return False
        _, wall_ms, since_s = self._base
        by_calendar_ms = self._clock.now_ms() - wall_ms
        return abs(by_calendar_ms - (self._clock.monotonic_s() - since_s) * 1000) > STEPPED_MS

    def _is_confirmed(self, candidate_ms: float) -> bool:
        """Returns whether the node has kept to its new time long enough."""
        same = self._checks > 0 and abs(candidate_ms - self._candidate_ms) <= STEPPED_MS
        self._checks = self._checks + 1 if same else 1
        self._candidate_ms = candidate_ms
        return self._checks > STEADY_CHECKS

    def _note_jump(self, words: str) -> None:
        if self._jump is None:
            log.error("the node's clock has jumped; signing waits", why=words)
        self._jump = words
