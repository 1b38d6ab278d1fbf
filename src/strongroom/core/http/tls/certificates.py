"""The certificates of all surfaces while the process runs: watched, read again, and told in health and metrics."""

import asyncio
from collections.abc import Mapping
from functools import partial

import structlog

from strongroom.core.clock import Clock, iso_instant, sleep_unless
from strongroom.core.http.tls.files import TlsFiles
from strongroom.core.http.tls.settings import TlsSettings
from strongroom.core.runtime.telemetry import ComponentHealth, Health, Metrics, Status

log = structlog.get_logger(__name__)

LOOK_S = 30.0
"""The files are looked at this often."""
SOON_MS = 7 * 86_400_000
COMPONENT = "tls"


class Certificates:
    """`of` is what a listener needs; `run` is the loop that reads changed files."""

    def __init__(
        self, settings: Mapping[str, TlsSettings], clock: Clock, health: Health, metrics: Metrics
    ) -> None:
        """Raises: Unavailable: files cannot be used."""
        self._clock = clock
        self._files = {surface: TlsFiles(surface, each, clock) for surface, each in settings.items()}
        self._wanted = asyncio.Event()
        self._expiry = metrics.gauge(
            "strongroom_tls_certificate_expiry_timestamp_seconds",
            "When the certificate in use expires, in seconds since 1970.",
            ("surface",),
        )
        for surface, files in self._files.items():
            self._tell(files)
            health.watch(COMPONENT, partial(self._health, files), part=surface)

    def of(self, surface: str) -> TlsFiles | None:
        """None: the surface speaks plain HTTP."""
        return self._files.get(surface)

    def refresh(self) -> None:
        """Has the loop read every file now."""
        self._wanted.set()

    async def run(self) -> None:
        while True:
            await sleep_unless(self._wanted, self._clock, LOOK_S)
            self._wanted.clear()
            for files in self._files.values():
                if await asyncio.to_thread(files.refresh):
                    self._tell(files)

    def _tell(self, files: TlsFiles) -> None:
        self._expiry.labels(files.surface).set(files.not_after_ms / 1000)

    def _health(self, files: TlsFiles) -> ComponentHealth:
        if (fault := files.fault) is not None:
            return ComponentHealth(status=Status.DEGRADED, detail=fault)
        if files.not_after_ms - self._clock.now_ms() < SOON_MS:
            detail = f"the certificate expires at {iso_instant(files.not_after_ms)}"
            return ComponentHealth(status=Status.DEGRADED, detail=detail)
        return ComponentHealth(status=Status.UP)
