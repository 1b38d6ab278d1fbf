"""The management surface: /health, /metrics and /prometheus, in the form of Spring Boot's actuator."""

from typing import Any

import msgspec
from litestar import Litestar, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from prometheus_client.exposition import choose_encoder

from strongroom.core.telemetry import Health, Metrics, Status


class HealthView(msgspec.Struct):
    status: Status
    components: dict[str, dict[str, Any]]


class MetricNames(msgspec.Struct):
    names: list[str]


class Measurement(msgspec.Struct):
    statistic: str
    value: float


class MetricView(msgspec.Struct):
    name: str
    description: str
    measurements: list[Measurement]


def create_management(health: Health, metrics: Metrics) -> Litestar:
    """DOWN answers 503, for probes that restart; DEGRADED answers 200, for people who look."""

    @get("/health", sync_to_thread=False)
    def read_health() -> Response[HealthView]:
        components: dict[str, dict[str, Any]] = {
            name: {"status": part.status} | ({"details": {"message": part.detail}} if part.detail else {})
            for name, part in sorted(health.components().items())
        }
        status = health.overall()
        body = HealthView(status=status, components=components)
        return Response(body, status_code=503 if status is Status.DOWN else 200)

    @get("/prometheus", sync_to_thread=False)
    def read_prometheus() -> Response[bytes]:
        encode, content_type = choose_encoder("text/plain")
        return Response(encode(metrics.registry), media_type=content_type)

    @get("/metrics", sync_to_thread=False)
    def list_metrics() -> MetricNames:
        return MetricNames(names=sorted(family.name for family in metrics.registry.collect()))

    @get("/metrics/{name:str}", sync_to_thread=False)
    def read_metric(name: FromPath[str]) -> MetricView:
        for family in metrics.registry.collect():
            if family.name == name:
                totals: dict[str, float] = {}  # summed over the labels, as the original's actuator does
                for sample in family.samples:
                    if not sample.name.endswith(("_created", "_bucket")):
                        statistic = sample.name.removeprefix(name).strip("_").upper() or "VALUE"
                        totals[statistic] = totals.get(statistic, 0.0) + sample.value
                measurements = [Measurement(statistic=key, value=value) for key, value in totals.items()]
                return MetricView(name=name, description=family.documentation, measurements=measurements)
        raise NotFoundException(detail=f"No metric is called {name}")

    return Litestar(
        [read_health, read_prometheus, list_metrics, read_metric], openapi_config=None, logging_config=None
    )
