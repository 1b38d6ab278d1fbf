"""Pings a WebSocket's peer, to notice a peer that vanished without closing the connection."""

import asyncio
from collections.abc import Callable


class Keepalive:
    """Sends a ping every `every_s`. If a ping is not answered when the next one is due, the peer is gone."""

    def __init__(self, every_s: float, ping: Callable[[bytes], None], gone: Callable[[], None]) -> None:
        self._every_s = every_s
        self._ping = ping
        self._gone = gone
        self._number = 0
        self._unanswered: bytes | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._every_s, self._due)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def answered(self, payload: bytes) -> None:
        """Notes a pong. Only the answer to the latest ping counts."""
        if payload == self._unanswered:
            self._unanswered = None

    def _due(self) -> None:
        if self._unanswered is not None:
            self._timer = None
            self._gone()
            return
        self._number = (self._number + 1) % 2**32
        self._unanswered = self._number.to_bytes(4)
        self._ping(self._unanswered)
        self.start()
