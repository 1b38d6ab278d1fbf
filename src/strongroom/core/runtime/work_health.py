"""The health of one piece of work, from its successes and failures."""

import traceback

import structlog
from sqlalchemy.exc import DBAPIError

from strongroom.core.clock import Clock
from strongroom.core.errors import StrongroomError
from strongroom.core.runtime.fault_text import fault_text
from strongroom.core.runtime.telemetry import ComponentHealth, Metrics, Status

log = structlog.get_logger(__name__)

DOWN_AFTER = 5
STANDBY = "another process does this work, or will"
EXPECTED = (StrongroomError, DBAPIError, OSError, TimeoutError)
"""Errors with causes outside this service. Any other error is a defect, so its traceback is logged."""


class WorkHealth:
    """UP after a success, DEGRADED after a failure, DOWN after `down_after` failures in a row.

    Work that has neither succeeded nor failed `limit_s` after it began is DEGRADED too.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        metrics: Metrics,
        *,
        down_after: int = DOWN_AFTER,
        limit_s: float | None = None,
        initially: Status = Status.UP,
        ledger: str = "",
    ) -> None:
        self.name = name
        self.component = name.partition(".")[0]
        self.failures = 0
        """Failures in a row."""
        self.successes = 0
        """Successes since the start."""
        self.last_success_ms: int | None = None
        self.last_failure_ms: int | None = None
        self._clock = clock
        self._metrics = metrics
        self._labels = (ledger, name)
        self._down_after = down_after
        self._limit_s = limit_s
        self._status = initially
        self._detail: str | None = "not tried yet"
        self._began_s: float | None = None
        metrics.work_failures.labels(*self._labels)  # a counter that begins at its first failure has no rate

    def began(self) -> None:
        """Notes that a pass of the work begins; `limit_s` counts from now."""
        self._began_s = self._clock.monotonic_s()

    def succeeded(self, detail: str | None = None) -> None:
        if self.failures:
            log.info("works again", work=self.name, failures=self.failures)
        self.failures = 0
        self.successes += 1
        self.last_success_ms = self._clock.now_ms()
        self._metrics.work_success.labels(*self._labels).set(self.last_success_ms / 1000)
        self._status, self._detail, self._began_s = Status.UP, detail, None

    def failed(self, error: BaseException | str, *, status: Status | None = None) -> None:
        """Notes a failure. `status` overrides the status that follows from the number of failures."""
        self.failures += 1
        self.last_failure_ms = self._clock.now_ms()
        self._metrics.work_failures.labels(*self._labels).inc()
        self._detail = error if isinstance(error, str) else fault_text(error)
        counted = Status.DOWN if self.failures >= self._down_after else Status.DEGRADED
        self._status, self._began_s = status or counted, None
        if self.failures == 1 and isinstance(error, Exception) and not isinstance(error, EXPECTED):
            log.error("a defect", work=self.name, traceback="".join(traceback.format_exception(error)))
        # Only the 1st, 2nd, 4th, 8th, ... failure is logged, so that work that fails all day does not fill the log.
        if self.failures & (self.failures - 1) == 0:
            log.warning("failed", work=self.name, why=self._detail, failures=self.failures)

    def stand_by(self, detail: str | None = STANDBY) -> None:
        """Notes that the work does not run in this process, and forgets its earlier failures here."""
        self.failures = 0
        self._status, self._detail, self._began_s = Status.UP, detail, None

    def check(self) -> ComponentHealth:
        status, detail = self._status, self._detail
        if self._began_s is not None and self._limit_s is not None and status is Status.UP:
            running_s = self._clock.monotonic_s() - self._began_s
            if running_s > self._limit_s:
                status, detail = Status.DEGRADED, f"has been running for {running_s:.0f} s"
        return ComponentHealth(
            status=status,
            detail=detail,
            last_success_ms=self.last_success_ms,
            last_failure_ms=self.last_failure_ms,
        )
