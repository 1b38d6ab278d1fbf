"""Limits how many WebSocket frames a peer may send."""

from collections.abc import Callable


class FrameRate:
    """Allows `a_minute` frames in a minute on average, and as many at once after a pause."""

    def __init__(self, a_minute: int, now_s: Callable[[], float]) -> None:
        self._a_minute = a_minute
        self._now_s = now_s
        self._left = float(a_minute)
        self._counted_s = now_s()

    def allows(self, frames: int) -> bool:
        """Counts `frames`, and returns whether the peer may send them."""
        now_s = self._now_s()
        earned = (now_s - self._counted_s) * self._a_minute / 60
        self._left = min(self._a_minute, self._left + earned) - frames
        self._counted_s = now_s
        return self._left >= 0
