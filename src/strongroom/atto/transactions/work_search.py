"""The search for one proof of work, which goes on until it finds."""

from strongroom.atto.gateway import WorkSource
from strongroom.atto.gateway.node_clock import NodeClock
from strongroom.atto.protocol import Network
from strongroom.core.clock import Clock, Entropy
from strongroom.core.runtime.backoff import Backoff
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.runtime.work_health import WorkHealth


class WorkSearch:
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
        """Work for a block of this time, or of now if that is later: the year decides how hard it is."""
        backoff = Backoff(self._clock, self._entropy, first_s=0.2, cap_s=10)
        while True:
            started_s = self._clock.monotonic_s()
            try:
                moment_ms = max(timestamp_ms, self._node_clock.now_ms())
                work = await self._source.work(self._network, moment_ms, target)
            except Exception as error:  # noqa: BLE001 - whatever it was, the block waits for its work all the same
                self._health.failed(error)
                await backoff.wait()
                continue
            self._health.succeeded()
            self._seconds.observe(self._clock.monotonic_s() - started_s)
            return work
