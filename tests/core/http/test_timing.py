"""Durations of requests, on applications of any kind."""

from typing import Any

import httpx2
import pytest
from litestar import Litestar, get
from litestar.params import FromPath
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from strongroom.core.http.timing import TimedApplication
from strongroom.core.runtime.telemetry import Metrics
from support.serving import serving
from support.waiting import eventually

OUTCOMES = {
    101: "INFORMATIONAL",
    200: "SUCCESS",
    204: "SUCCESS",
    403: "CLIENT_ERROR",
    404: "CLIENT_ERROR",
    405: "CLIENT_ERROR",
}


def counted(metrics: Metrics, method: str, uri: str, status: int) -> float:
    labels = {
        "ledger": "toy",
        "method": method,
        "uri": uri,
        "status": str(status),
        "outcome": OUTCOMES[status],
    }
    return metrics.registry.get_sample_value("http_server_requests_seconds_count", labels) or 0.0


@get("/things/{name:str}")
async def read_thing(name: FromPath[str]) -> str:
    return name


async def raw(scope: Any, receive: Any, send: Any) -> None:
    """WebSockets are accepted at /in alone."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return
    await receive()
    if scope["path"] == "/in":
        await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        await receive()
    else:
        await send({"type": "websocket.close", "code": 1000, "reason": None})


async def test_requests_count_by_route() -> None:
    metrics = Metrics("test")
    application = TimedApplication(Litestar([read_thing]), metrics, ledger="toy")
    async with (
        serving(application) as url,
        httpx2.AsyncClient(base_url=url, trust_env=False, verify=False) as client,
    ):
        for name in ("a", "b", "c"):
            await client.get(f"/things/{name}")
        await client.get("/nothing")
        await client.request("PROPFIND", "/things/a")
    assert counted(metrics, "GET", "/things/{name}", 200) == 3
    assert counted(metrics, "OTHER", "unknown", 405) == 1
    assert counted(metrics, "GET", "unknown", 404) == 1
    assert "PROPFIND" not in str(list(metrics.registry.collect()))


async def test_of_a_websocket_the_handshake_counts() -> None:
    metrics = Metrics("test")
    async with serving(TimedApplication(raw, metrics, "/", "toy")) as url:
        async with httpx2.AsyncClient(verify=False, trust_env=False) as client:
            await client.get(url)
        socket_url = url.replace("http", "ws")
        async with connect(f"{socket_url}/in", proxy=None):
            await eventually(lambda: counted(metrics, "GET", "/", 101) == 1)  # while it is open
        with pytest.raises(InvalidStatus):
            await connect(f"{socket_url}/out", proxy=None)
    assert counted(metrics, "GET", "/", 204) == 1
    assert counted(metrics, "GET", "/", 101) == 1
    assert counted(metrics, "GET", "/", 403) == 1
