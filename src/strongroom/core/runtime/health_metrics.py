"""Health as metrics, read at each scrape from the same components as `/health`."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from strongroom.core.runtime.telemetry import Health, Metrics, Status

UP = "strongroom_component_up"
DEGRADED = "strongroom_component_degraded"
STATUS = "strongroom_health_status"
READY = "strongroom_ready"


class HealthMetrics(Collector):
    """Two gauges for each component, one for each status of the whole process."""

    def __init__(self, health: Health, ledgers: Sequence[str] = ()) -> None:
        """`ledgers`: a component whose name begins with one of these is of that ledger."""
        self._health = health
        self._ledgers = ledgers

    def collect(self) -> Iterator[GaugeMetricFamily]:
        labels = ("ledger", "component")
        up = GaugeMetricFamily(UP, "0 while a component of /health is DOWN, else 1.", labels=labels)
        degraded = GaugeMetricFamily(
            DEGRADED, "1 while a component of /health is DEGRADED, else 0.", labels=labels
        )
        for name, component in sorted(self._health.components().items()):
            values = (self._ledger_of(name), name)
            up.add_metric(values, float(component.status is not Status.DOWN))
            degraded.add_metric(values, float(component.status is Status.DEGRADED))
        overall = self._health.overall()
        status = GaugeMetricFamily(STATUS, "1 for the status of the whole process.", labels=("status",))
        for each in Status:
            status.add_metric((each.value,), float(each is overall))
        yield from (up, degraded, status)
        ready = "1 while the process takes requests: the readiness of /health/readiness."
        yield GaugeMetricFamily(READY, ready, value=float(self._health.is_ready()))

    def _ledger_of(self, component: str) -> str:
        return next((ledger for ledger in self._ledgers if component.startswith(ledger)), "")


def show_health(metrics: Metrics, health: Health, ledgers: Sequence[str]) -> None:
    metrics.registry.register(HealthMetrics(health, ledgers))
