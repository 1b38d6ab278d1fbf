"""A payment's trace, as a collector that speaks OTLP/HTTP gets it from the service's program."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from strongroom.core.storage.database import sqlite_url
from support.atto_payments import open_accounts
from support.atto_processes import NetworkProgram, ServiceProgram
from support.atto_service import NOBODY, SQLITE_NAME, database_variables

pytestmark = pytest.mark.anyio

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
STEPS = ["payment signed", "payment offered", "payment confirmed"]


@dataclass(slots=True)
class Collector:
    url: str
    spans: list[Any] = field(default_factory=list)

    def of(self, trace: str) -> dict[str, Any]:
        """The spans of one trace, by their names."""
        return {one.name: one for one in self.spans if one.trace_id.hex() == trace}


@contextmanager
def collecting() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            exported = ExportTraceServiceRequest()
            body = self.rfile.read(int(self.headers["Content-Length"]))
            exported.ParseFromString(body)
            for resource in exported.resource_spans:
                for scope in resource.scope_spans:
                    collector.spans += scope.spans
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


async def test_a_payment_is_one_trace(network: NetworkProgram, tmp_path: Path) -> None:
    url = sqlite_url(str(tmp_path / SQLITE_NAME))
    with collecting() as collector:
        variables = network.variables | database_variables(url, tmp_path)
        variables |= {"STRONGROOM_TRACES_URL": collector.url, "OTEL_EXPORTER_OTLP_COMPRESSION": "none"}
        async with ServiceProgram(variables) as service:
            (address,), _ = await open_accounts(service, network, 1)
            sent = await service.api.post(
                f"/wallets/accounts/{address}/transactions/SEND",
                json={"receiverAddress": NOBODY, "amount": 1},
                headers={"traceparent": f"00-{TRACE}-{PARENT}-01"},
            )
            assert sent.status_code == 200, sent.text
            named = await service.api.get("/wallets", headers={"X-Request-Id": "order-17"})
            assert named.status_code == 200
            assert await service.terminate() == 0
    spans = collector.of(TRACE)
    request = spans["POST /wallets/accounts/{address}/transactions/SEND"]
    assert request.parent_span_id.hex() == PARENT
    assert {one.key: one.value.int_value or one.value.string_value for one in request.attributes} == {
        "strongroom.surface": "atto",
        "strongroom.request_id": TRACE,
        "http.request.method": "POST",
        "http.route": "/wallets/accounts/{address}/transactions/SEND",
        "http.response.status_code": 200,
    }
    assert [name for name in STEPS if name in spans] == STEPS
    for name in STEPS:
        attributes = {one.key: one.value.string_value for one in spans[name].attributes}
        assert attributes["strongroom.id"].upper() == sent.json()["hash"]
        assert request.start_time_unix_nano <= spans[name].end_time_unix_nano
    assert spans["payment signed"].parent_span_id == request.span_id
    # An id that is no trace's is in an attribute, and the trace has a digest of it.
    others = [one for one in collector.spans if one.name == "GET /wallets"]
    assert "order-17" in str(others)
