"""Logs, metrics and health.

No code passes a secret to a log. `_redact` is the second line of defence.
"""

import enum
import logging
import sys
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from strongroom.core.printable import harmless
from strongroom.core.runtime.build import read_build
from strongroom.core.runtime.readings import Reading

SECRET_WORDS = (
    "mnemonic",
    "password",
    "passphrase",
    "secret",
    "private",
    "encryptionkey",
    "encryption_key",
    "authorization",
    "seed",
)
REDACTED = "[redacted]"
LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


def configure_logging(*, as_json: bool, level: str = "INFO") -> None:
    """Sends all logs, also those of libraries, to stderr as JSON lines or as text for people."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _redact,
    ]
    renderer: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if as_json
        # Plain tracebacks: rich's, the default, show local variables, and some of those are secrets.
        else [
            _harmless,
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for noisy in (
        "httpx2",
        "httpcore2",
        "uvicorn.access",
        "uvicorn.error",
        "websockets",
        "aiosqlite",
        "alembic",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # asyncmy logs the server's warnings about statements. In a strict session all that matters is an error.
    logging.getLogger("asyncmy").setLevel(logging.ERROR)


def _redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in event:
        if any(word in name.lower() for word in SECRET_WORDS):
            event[name] = REDACTED
    return event


def _harmless(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What a node or another peer said must not command the terminal of who reads the log. JSON escapes it anyway."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = harmless(value)
    return event


class Metrics:
    """The process's Prometheus registry and the metrics that every ledger shares."""

    def __init__(self, application: str) -> None:
        self.registry = CollectorRegistry()
        self.application = application
        self._readings: dict[str, Reading] = {}
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        build = read_build()
        Info("strongroom_build", "What runs; always 1.", registry=self.registry).info(
            {"version": build.version, "commit": build.commit, "python": build.python}
        )
        self.http_requests = self.histogram(
            "http_server_requests_seconds",
            "Duration of HTTP requests.",
            ("ledger", "method", "uri", "status", "outcome"),
        )
        self._set_payments()
        self.collection_failed = self.reading(
            "strongroom_collection_failed",
            "1 while values are absent because they could not be collected, by what is collected.",
            ("ledger", "collection"),
        )
        self.event_loop_lag = self.histogram(
            "strongroom_event_loop_lag_seconds",
            "How long all clients waited because the event loop was busy.",
        )
        self.connections = self.gauge("strongroom_connections", "Open connections of clients.")
        self.connections_refused = self.counter(
            "strongroom_connections_refused",
            "Connections and requests that were refused before an application saw them, by reason.",
            ("surface", "reason"),
        )
        self.work_failures = self.counter(
            "strongroom_work_failures",
            "Failures of background work, by its name.",
            ("ledger", "work"),
        )
        self.work_success = self.gauge(
            "strongroom_work_last_success_timestamp_seconds",
            "When this work last succeeded, in seconds since 1970; absent until it has succeeded.",
            ("ledger", "work"),
        )

    def _set_payments(self) -> None:
        self.signatures = self.counter("strongroom_signatures", "Signatures made.", ("ledger", "kind"))
        self.payment_seconds = self.histogram(
            "strongroom_payment_seconds",
            "From the signature of a payment until its outcome was known, by the outcome: accepted, failed on the ledger,"
            " unverified or rejected.",
            ("ledger", "outcome"),
        )
        self.refusals = self.counter(
            "strongroom_refusals",
            "Requests that ended in an error, by its code.",
            ("ledger", "code"),
        )
        self.authentication_failures = self.counter(
            "strongroom_authentication_failures", "Credentials that did not count.", ("ledger",)
        )
        self.authentication_bursts = self.counter(
            "strongroom_authentication_bursts",
            "Bursts of failed authentications from one address; each is in the log.",
            ("ledger",),
        )
        self.rule_refusals = self.counter(
            "strongroom_rule_refusals",
            "Signatures that the policy refused or let wait, by the reason's code and the rule.",
            ("ledger", "reason", "rule"),
        )

    def counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def gauge(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def reading(self, name: str, text: str, labels: tuple[str, ...] = (), *, counts: bool = False) -> Reading:
        """The reading of this name, which several ledgers may share; it is made when it is first asked for."""
        if name not in self._readings:
            self._readings[name] = Reading(name, text, labels, counts=counts)
            self.registry.register(self._readings[name])
        return self._readings[name]

    def histogram(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Histogram:
        return Histogram(name, text, labels, registry=self.registry, buckets=LATENCY_BUCKETS_S)


class Status(enum.StrEnum):
    UP = "UP"
    DEGRADED = "DEGRADED"
    SEALED = "SEALED"
    """It answers what needs no key, and signs nothing until it is unsealed."""
    DOWN = "DOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentHealth:
    status: Status
    detail: str | None = None
    last_success_ms: int | None = None
    last_failure_ms: int | None = None


class Health:
    """The health of the process and of its components.

    A component may have several parts with names of their own; its status is that of the worst part. If a `vital` component
    is DOWN, the process is DOWN (503): it cannot serve requests now. If one is SEALED, the process is SEALED (200). If any other
    component is not UP, the process is DEGRADED (200).
    """

    def __init__(self) -> None:
        self._reports: dict[tuple[str, str], ComponentHealth] = {}
        self._checks: dict[tuple[str, str], Callable[[], ComponentHealth]] = {}
        self._vital: set[str] = set()
        self.is_draining = False
        """The process is about to end and should get no new requests."""

    def report(
        self, name: str, status: Status, detail: str | None = None, *, part: str = "", vital: bool = False
    ) -> None:
        """Stores the latest status of a component's part."""
        self._reports[name, part] = ComponentHealth(status=status, detail=detail)
        if vital:
            self._vital.add(name)

    def watch(
        self, name: str, check: Callable[[], ComponentHealth], *, part: str = "", vital: bool = False
    ) -> None:
        """Adds a part whose status is the answer of `check`, each time health is read. `check` must be quick."""
        self._checks[name, part] = check
        if vital:
            self._vital.add(name)

    def drain(self) -> None:
        """Marks the process as not ready from now on; it still finishes the requests that it has begun."""
        self.is_draining = True

    def components(self) -> dict[str, ComponentHealth]:
        parts: dict[str, list[ComponentHealth]] = {}
        for (name, _part), one in self._reports.items():
            parts.setdefault(name, []).append(one)
        for (name, _part), check in self._checks.items():
            parts.setdefault(name, []).append(check())
        return {name: _joined(each) for name, each in parts.items()}

    def overall(self) -> Status:
        components = self.components()
        if any(components[name].status is Status.DOWN for name in self._vital):
            return Status.DOWN
        if any(part.status is Status.SEALED for part in components.values()):
            return Status.SEALED
        if any(part.status is not Status.UP for part in components.values()):
            return Status.DEGRADED
        return Status.UP

    def is_vital(self, name: str) -> bool:
        return name in self._vital

    def is_ready(self) -> bool:
        """Whether the process can answer requests: no vital component is DOWN, and the process is not about to end."""
        components = self.components()
        return not self.is_draining and all(
            components[name].status is not Status.DOWN for name in self._vital
        )


def _joined(parts: Sequence[ComponentHealth]) -> ComponentHealth:
    if len(parts) == 1:
        return parts[0]
    status = max((part.status for part in parts), key=list(Status).index)
    details = [
        part.detail for part in parts if part.detail and (part.status is not Status.UP or status is Status.UP)
    ]
    successes = [part.last_success_ms for part in parts if part.last_success_ms is not None]
    failures = [part.last_failure_ms for part in parts if part.last_failure_ms is not None]
    return ComponentHealth(
        status=status,
        detail="; ".join(dict.fromkeys(details)) or None,
        last_success_ms=max(successes, default=None),
        last_failure_ms=max(failures, default=None),
    )
