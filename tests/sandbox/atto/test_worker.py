"""The work server."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from strongroom.atto.gateway import WorkUnavailable
from strongroom.atto.gateway.remote_worker import RemoteWorker
from strongroom.atto.protocol import Network, verify_work
from strongroom_sandbox.atto import AttoSandbox, Chain, WorkServer, create_work_app
from support.clock import START_MS, ManualClock
from support.serving import serving

pytestmark = pytest.mark.anyio
TARGET = bytes(range(32))
REQUEST = {"network": "LOCAL", "timestamp": START_MS, "target": TARGET.hex().upper()}


@pytest.fixture
async def server(clock: ManualClock) -> AsyncIterator[httpx2.AsyncClient]:
    sandbox = AttoSandbox(Chain(), clock)
    async with (
        serving(sandbox.work_app) as url,
        httpx2.AsyncClient(base_url=url, trust_env=False, verify=False) as client,
    ):
        yield client
    await sandbox.aclose()


@pytest.mark.parametrize("ahead_ms", [0, 60_000])
async def test_work_is_valid(server: httpx2.AsyncClient, ahead_ms: int) -> None:
    response = await server.post("/works", json=REQUEST | {"timestamp": START_MS + ahead_ms})
    assert response.headers["content-type"] == "application/json"
    work = response.json()["work"]
    assert response.json() == {"work": work.upper()}
    verify_work(Network.LOCAL, START_MS, TARGET, bytes.fromhex(work))


async def test_many_ask_at_once(server: httpx2.AsyncClient) -> None:
    targets = [bytes([number]) * 32 for number in range(30)]
    answers = await asyncio.gather(
        *(server.post("/works", json=REQUEST | {"target": target.hex()}) for target in targets)
    )
    for target, answer in zip(targets, answers, strict=True):
        verify_work(Network.LOCAL, START_MS, target, bytes.fromhex(answer.json()["work"]))


async def test_time_of_the_future_is_an_empty_400(server: httpx2.AsyncClient) -> None:
    response = await server.post("/works", json=REQUEST | {"timestamp": START_MS + 60_001})
    assert (response.status_code, response.content) == (400, b"")


@pytest.mark.parametrize(
    "change",
    [{"network": "MOON"}, {"target": "00"}, {"target": "zz"}, {"timestamp": 0}, {"timestamp": 1.5}],
)
async def test_malformed_request_is_refused(server: httpx2.AsyncClient, change: dict[str, object]) -> None:
    response = await server.post("/works", json=REQUEST | change)
    assert (response.status_code, response.json()["path"]) == (400, "/works")


async def test_lie_about_work_is_noticed(server: httpx2.AsyncClient) -> None:
    await server.post("/_fault", json={"lie": "work"})
    worker = RemoteWorker(str(server.base_url), 10)
    with pytest.raises(WorkUnavailable):
        await worker.work(Network.LOCAL, START_MS, TARGET)
    await worker.close()


@pytest.mark.parametrize("fault", [{"drop_reply": 1}, {"drop_request": 1}, {"restart": True}])
async def test_connection_is_lost_once(server: httpx2.AsyncClient, fault: dict[str, object]) -> None:
    await server.post("/_fault", json=fault)
    try:
        await server.post("/works", json=REQUEST)
    except httpx2.TransportError:
        pass
    else:
        assert fault == {"restart": True}, "a connection that was idle is simply replaced"
    assert (await server.post("/works", json=REQUEST)).status_code == 200


async def test_status_is_answered_instead(server: httpx2.AsyncClient) -> None:
    await server.post("/_fault", json={"status": 502, "count": 1, "path": "/works"})
    assert [(await server.post("/works", json=REQUEST)).status_code for _ in range(2)] == [502, 200]


class _Exhausted:
    async def work(self, network: Network, timestamp_ms: int, target: bytes) -> bytes:
        raise WorkUnavailable(f"No work for {network.name} {timestamp_ms} {len(target)}")


async def test_worker_without_work_is_unavailable(clock: ManualClock) -> None:
    async with (
        serving(create_work_app(WorkServer(_Exhausted(), clock))) as url,
        httpx2.AsyncClient(base_url=url, trust_env=False, verify=False) as client,
    ):
        response = await client.post("/works", json=REQUEST)
    assert (response.status_code, response.json()["message"]) == (503, f"No work for LOCAL {START_MS} 32")
