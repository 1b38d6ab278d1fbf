"""The progress of long scans, as the log, the CLI and the API show it."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import structlog

from strongroom.core.clock import Clock

log = structlog.get_logger(__name__)

LOG_EVERY_S = 3.0


class Progress(msgspec.Struct, rename="camel"):
    """The progress of creating one range, or of one recovery, of a wallet."""

    kind: str
    done: int = 0
    total: int | None = None
    """None while it is not known where the scan will end."""
    found: int = 0
    running: bool = True
    limit_reached: bool | msgspec.UnsetType = msgspec.UNSET
    """Whether the scan stopped at ATTO_SCAN_LIMIT; the next recovery continues there."""


class ScanProgress:
    """The latest scan of each wallet in this process. One scan touches at most `limit` account indexes."""

    def __init__(self, clock: Clock, limit: int) -> None:
        self.limit = limit
        self._clock = clock
        self._scans: dict[str, Progress] = {}
        self._logged_s: dict[str, float] = {}

    def of(self, wallet_name: str) -> Progress | None:
        return self._scans.get(wallet_name)

    @contextmanager
    def track(self, wallet_name: str, kind: str, total: int | None = None) -> Iterator[Progress]:
        scan = self._scans[wallet_name] = Progress(kind=kind, total=total)
        self._logged_s[wallet_name] = self._clock.monotonic_s()
        try:
            yield scan
        finally:
            scan.running = False

    def advanced(self, wallet_name: str, scan: Progress) -> None:
        """Logs the progress of a scan that takes long."""
        now_s = self._clock.monotonic_s()
        if now_s - self._logged_s[wallet_name] >= LOG_EVERY_S:
            self._logged_s[wallet_name] = now_s
            log.info(
                "scanning",
                wallet=wallet_name,
                kind=scan.kind,
                done=scan.done,
                total=scan.total,
                found=scan.found,
            )
