"""The management surface: /health, its groups, /metrics and /prometheus, in the form of Spring Boot's actuator.

Source: Spring Boot's reference, "Kubernetes Probes": the groups `liveness` and `readiness`, their states' names and
OUT_OF_SERVICE.
"""

from typing import Any

import msgspec
from litestar import Litestar, Response, get
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from prometheus_client.exposition import choose_encoder

from strongroom.core.clock import iso_instant
from strongroom.core.runtime.telemetry import ComponentHealth, Health, Metrics, Status

OUT_OF_SERVICE = "OUT_OF_SERVICE"
GROUPS = ("liveness", "readiness")


class HealthView(msgspec.Struct, omit_defaults=True):
    status: str
    components: dict[str, dict[str, Any]]
    groups: tuple[str, ...] = ()


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
    """The application of the management surface. DOWN and OUT_OF_SERVICE answer 503; DEGRADED answers 200, as it still serves."""
    routes = [*_health_routes(health), *_metric_routes(metrics)]
    return Litestar(routes, openapi_config=None, logging_config=None)


def _health_routes(health: Health) -> list[HTTPRouteHandler]:
    @get("/health", sync_to_thread=False)
    def read_health() -> Response[HealthView]:
        status = OUT_OF_SERVICE if health.is_draining else health.overall()
        components = dict(sorted((_components(health) | _liveness() | _readiness(health)).items()))
        return _answer(HealthView(status=status, components=components, groups=GROUPS))

    @get("/health/liveness", sync_to_thread=False)
    def read_liveness() -> Response[HealthView]:
        """UP whenever it answers, because then the event loop runs. The database is not asked: a restart would not repair it."""
        return _answer(HealthView(status=Status.UP, components=_liveness()))

    @get("/health/readiness", sync_to_thread=False)
    def read_readiness() -> Response[HealthView]:
        vital = {name: view for name, view in _components(health).items() if health.is_vital(name)}
        worst = _signing(health) if health.is_ready() else Status.DOWN
        status = OUT_OF_SERVICE if health.is_draining else worst
        return _answer(HealthView(status=status, components=_readiness(health) | vital))

    return [read_health, read_liveness, read_readiness]


def _metric_routes(metrics: Metrics) -> list[HTTPRouteHandler]:
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

    return [read_prometheus, list_metrics, read_metric]


def _answer(view: HealthView) -> Response[HealthView]:
    return Response(view, status_code=503 if view.status in {Status.DOWN, OUT_OF_SERVICE} else 200)


def _liveness() -> dict[str, dict[str, Any]]:
    return {"livenessState": {"status": Status.UP}}


def _readiness(health: Health) -> dict[str, dict[str, Any]]:
    return {"readinessState": {"status": _signing(health) if health.is_ready() else OUT_OF_SERVICE}}


def _signing(health: Health) -> Status:
    """A process that is sealed serves reads, so it stays ready, and does not say that it is UP."""
    return Status.SEALED if health.overall() is Status.SEALED else Status.UP


def _components(health: Health) -> dict[str, dict[str, Any]]:
    return {name: _view(part) for name, part in sorted(health.components().items())}


def _view(part: ComponentHealth) -> dict[str, Any]:
    details = {
        "message": part.detail,
        "lastSuccess": None if part.last_success_ms is None else iso_instant(part.last_success_ms),
        "lastFailure": None if part.last_failure_ms is None else iso_instant(part.last_failure_ms),
    }
    known = {name: value for name, value in details.items() if value}
    return {"status": part.status} | ({"details": known} if known else {})
