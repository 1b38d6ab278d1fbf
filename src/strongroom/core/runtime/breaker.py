"""A circuit breaker: a call to a peer that does not answer fails at once, instead of waiting for its time limit."""

import enum
from collections.abc import Iterator
from contextlib import contextmanager

from strongroom.core.clock import Clock
from strongroom.core.errors import Unavailable

FAILURES = 5
FIRST_S = 1.0
CAP_S = 30.0


class BreakerState(enum.StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class BreakerOpen(Unavailable):
    """The breaker is open; nothing was sent."""


class Breaker:
    """The breaker of one peer. It opens after `failures` failed calls in a row, and then refuses every call.

    After `first_s` it is half open: one call goes through as a probe. If it succeeds, the breaker closes. If it fails, the
    breaker stays open for twice as long, at most `cap_s`.
    """

    def __init__(
        self,
        clock: Clock,
        name: str,
        *,
        failures: int = FAILURES,
        first_s: float = FIRST_S,
        cap_s: float = CAP_S,
    ) -> None:
        self._name = name
        self._clock = clock
        self._failures = failures
        self._first_s = first_s
        self._cap_s = cap_s
        self._failed = 0
        self._pause_s = 0.0
        self._open_until_s = 0.0
        self._probing = False

    @property
    def state(self) -> BreakerState:
        if not self._pause_s:
            return BreakerState.CLOSED
        if self._probing or self._clock.monotonic_s() >= self._open_until_s:
            return BreakerState.HALF_OPEN
        return BreakerState.OPEN

    @property
    def is_due(self) -> bool:
        """Whether the next call is the probe."""
        return self.state is BreakerState.HALF_OPEN and not self._probing

    @property
    def retry_after_s(self) -> float:
        """Seconds until the next probe may start; 0 if the breaker is not open."""
        return max(0.0, self._open_until_s - self._clock.monotonic_s()) if self._pause_s else 0.0

    @contextmanager
    def call(self) -> Iterator[None]:
        """The context of one call. An `Unavailable` counts as a failure; any other result or error counts as an answer.

        A cancellation counts as neither.

        Raises:
            BreakerOpen: the call must not be made now.
        """
        probe = self.is_due
        if self._pause_s and not probe:
            raise BreakerOpen(f"{self._name} did not answer several times, so it is not asked now")
        self._probing = self._probing or probe
        try:
            yield
        except Unavailable:
            self._note_failure(probe=probe)
            raise
        except Exception:
            self._close()
            raise
        else:
            self._close()
        finally:
            if probe:
                self._probing = False

    def _note_failure(self, *, probe: bool) -> None:
        self._failed += 1
        if probe:
            self._open(min(self._cap_s, self._pause_s * 2))
        elif self._failed >= self._failures and not self._pause_s:
            self._open(self._first_s)

    def _open(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._open_until_s = self._clock.monotonic_s() + pause_s

    def _close(self) -> None:
        """Closes the breaker. A call that began before it opened does so too: its answer proves that the peer works."""
        self._failed, self._pause_s = 0, 0.0
