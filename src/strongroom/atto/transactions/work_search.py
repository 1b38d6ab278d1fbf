"""Searches one proof of work, and tries again until a source finds it."""

from strongroom.atto.gateway import WorkSource
from strongroom.atto.gateway.node_clock import NodeClock
from strongroom.atto.protocol import Network
from strongroom.core.clock import Clock, Entropy
from strongroom.core.runtime.backoff import Backoff
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.runtime.work_health import WorkHealth


class WorkSearch:
    """Asks the work source, backs off when it fails, and reports both to health and metrics."""

    def __init__(
        self,
        *,
        source: WorkSource,
        network: Network,
        node_clock: NodeClock,
        clock: Clock,
        entropy: Entropy,
        health: WorkHealth,
        metrics: Metrics,
    ) -> None:
        self._source = source
        self._network = network
        self._node_clock = node_clock
        self._clock = clock
        self._entropy = entropy
        self._health = health
        self._seconds = metrics.histogram(
            "strongroom_atto_work_seconds", "Duration of searches for proof of work."
        )

    async def find(self, target: bytes, timestamp_ms: int = 0) -> bytes:
        """Finds work for a block with this timestamp, or with the current time if that is later.

        The difficulty depends on the year of the block's timestamp, so each try uses the time of that try.
        """
        backoff = Backoff(self._clock, self._entropy, first_s=0.2, cap_s=10)
        while True:
            started_s = self._clock.monotonic_s()
            try:
                moment_ms = max(timestamp_ms, self._node_clock.now_ms())
                work = await self._source.work(self._network, moment_ms, target)
            except Exception as error:  # noqa: BLE001 - whatever failed, the block still needs its work
                self._health.failed(error)
                await backoff.wait()
                continue
            self._health.succeeded()
            self._seconds.observe(self._clock.monotonic_s() - started_s)
            return work
