"""Stops asking a service that is away, and asks it again later."""

import logging
import threading

from strongroom.core.clock import Clock

log = logging.getLogger(__name__)


class Breaker:
    """Is open for `cool_down_s` after a failure; then it lets one caller try, and the others wait."""

    def __init__(self, clock: Clock, cool_down_s: float, url: str) -> None:
        self._url = url
        self._clock = clock
        self._cool_down_s = cool_down_s
        self._lock = threading.Lock()
        self._closed_again_s: float | None = None

    @property
    def open(self) -> bool:
        return self._closed_again_s is not None

    def allows(self) -> bool:
        """Whether the caller may ask the service now. The caller then reports `failed` or `worked`."""
        with self._lock:
            if self._closed_again_s is None:
                return True
            now_s = self._clock.monotonic_s()
            if now_s < self._closed_again_s:
                return False
            self._closed_again_s = now_s + self._cool_down_s
            return True

    def failed(self) -> None:
        with self._lock:
            self._closed_again_s = self._clock.monotonic_s() + self._cool_down_s

    def worked(self) -> None:
        with self._lock:
            was_open = self._closed_again_s is not None
            self._closed_again_s = None
        if was_open:
            log.info("the wallet service at %s is back", self._url)
