"""The part of a request that a peer must send next, and the one timer that waits for it."""

import asyncio
import enum
from collections.abc import Callable

from strongroom.core.http.connections.limits import ConnectionLimits


class Due(enum.Enum):
    """The part that the peer must send next."""

    NOTHING = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()
    REQUEST = enum.auto()


class DueTimer:
    """Calls `overdue` when a part does not come in time.

    The timer starts when a part becomes due. The same part of the same request, told again, does not start it again, so that a
    slow sender gains nothing with every byte. A body's time stands still while the service reads none of it.
    """

    def __init__(
        self, limits: ConnectionLimits, loop: asyncio.AbstractEventLoop, overdue: Callable[[Due], None]
    ) -> None:
        self._limits = limits
        self._loop = loop
        self._overdue = overdue
        self._due = Due.NOTHING
        self._request = 0
        self._since_s = 0.0
        self._body_used_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def new_body(self) -> None:
        """A request's head is complete; its body has all its time, whatever a body before it has used or still uses."""
        self._body_used_s = 0.0
        self._since_s = self._loop.time()

    def watch(self, due: Due, request: int) -> None:
        """`due` is the part that the request with this number needs next."""
        if due is self._due and request == self._request:
            return
        self.stop()
        self._due, self._request = due, request
        if due is Due.BODY:
            self._since_s = self._loop.time()
        if due is not Due.NOTHING:
            self._timer = self._loop.call_later(self._seconds(due), self._overdue, due)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            if self._due is Due.BODY:
                self._body_used_s += self._loop.time() - self._since_s
        self._due = Due.NOTHING

    def _seconds(self, due: Due) -> float:
        if due is Due.REQUEST:
            return self._limits.idle_s
        if due is Due.HEAD:
            return self._limits.head_s
        return max(0.0, self._limits.body_s - self._body_used_s)
