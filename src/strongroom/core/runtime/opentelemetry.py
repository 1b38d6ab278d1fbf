"""Sends spans to a collector over OTLP/HTTP, with OpenTelemetry's own library (extra `[traces]`).

The library sends in a thread of its own, in batches, and drops what a collector does not take: nothing waits for it. Its own
variables (`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SERVICE_NAME`, `OTEL_BSP_*`) hold as its documentation says.
"""

import threading

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from strongroom.core.runtime.traces import Attributes, TraceContext

PATH = "/v1/traces"
NS_A_MS = 1_000_000


class _Ids(RandomIdGenerator):
    """Gives a span that has no parent the trace that it is begun in."""

    def __init__(self) -> None:
        self.wanted = threading.local()

    def generate_trace_id(self) -> int:
        trace_id: int = self.wanted.trace_id
        return trace_id


class _Open:
    def __init__(self, span: Span) -> None:
        self._span = span

    @property
    def id(self) -> int:
        return self._span.get_span_context().span_id

    def end(
        self, name: str, attributes: Attributes, *, at_ms: int | None = None, failed: bool = False
    ) -> None:
        self._span.update_name(name)
        self._span.set_attributes(dict(attributes))
        if failed:
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end(None if at_ms is None else at_ms * NS_A_MS)


class Collector:
    """The collector at `url`, for example `http://collector:4318`."""

    def __init__(self, url: str, service: str, version: str) -> None:
        self._ids = _Ids()
        named = Resource.create({SERVICE_NAME: service, "service.version": version})
        self._provider = TracerProvider(resource=named, id_generator=self._ids, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=url.rstrip("/") + PATH)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer(service, version)

    def begin(self, name: str, within: TraceContext, *, at_ms: int | None = None) -> _Open:
        self._ids.wanted.trace_id = within.trace_id
        context = Context()
        if within.parent_id is not None:
            parent = SpanContext(
                within.trace_id, within.parent_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)
            )
            context = set_span_in_context(NonRecordingSpan(parent), context)
        span = self._tracer.start_span(
            name,
            context,
            kind=SpanKind.SERVER if within.serves else SpanKind.INTERNAL,
            start_time=None if at_ms is None else at_ms * NS_A_MS,
        )
        return _Open(span)

    def close(self) -> None:
        self._provider.shutdown()
