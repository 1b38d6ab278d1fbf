"""Node and work server are away when the service starts, and come back; the node's time is not this machine's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from atto.conftest import Start
from strongroom.core.runtime.telemetry import Status
from support.atto_network import AttoNetwork
from support.atto_service import NOBODY, AttoService, entry
from support.hurried_clock import ShiftedClock
from support.ports import free_port
from support.running import running
from support.serving import serving
from support.waiting import eventually

pytestmark = pytest.mark.anyio
DAY_MS = 24 * 3600 * 1000
ROUGHLY_MS = 5_000


@asynccontextmanager
async def reachable(network: AttoNetwork, node_port: int, work_port: int = 0) -> AsyncIterator[None]:
    """The network on these ports, for a while. A server that stops waits for its streams, so they are cut."""

    leaving = asyncio.Event()

    async def cut() -> None:
        await leaving.wait()
        while True:
            network.cut_streams()
            await asyncio.sleep(0.01)

    sandbox = network.sandbox
    async with running(cut()), serving(sandbox.work_app, work_port), serving(sandbox.node_app, node_port):
        try:
            yield
        finally:
            leaving.set()


def status_of(service: AttoService, component: str) -> Status | None:
    health = service.health.components().get(component)
    return health.status if health else None


async def test_service_starts_without_node_and_work_server_and_catches_up(
    start: Start, network: AttoNetwork
) -> None:
    node_port, work_port = free_port(), free_port()
    variables = {
        "NODE_BASE_URL": f"http://127.0.0.1:{node_port}",
        "WORK_BASE_URL": f"http://127.0.0.1:{work_port}",
    }
    async with start(**variables) as service:
        wallet = await service.create_wallet()
        address = await service.create_account(wallet)
        await network.fund(address, 100)
        assert status_of(service, "attoNode") is Status.DOWN
        assert service.health.overall() is Status.DEGRADED
        response = await service.client.post(f"/wallets/{wallet.name}/recoveries", json={"gapLimit": 3})
        assert response.status_code == 503
        assert await service.get(f"/wallets/{wallet.name}/totals") == {
            "name": wallet.name,
            "accounts": 1,
            "openedAccounts": 0,
            "balance": 0,
            "receivableCount": 0,
            "receivableAmount": 0,
        }
        async with reachable(network, node_port, work_port):
            await service.until_balance(address, 100)
            assert entry(await service.send(address, NOBODY, 1))["height"] == 2
            await eventually(lambda: status_of(service, "attoNode") is Status.UP)


async def test_send_is_queued_while_the_node_is_away_and_resolved_when_it_is_back(
    start: Start, network: AttoNetwork
) -> None:
    port = free_port()
    async with start(NODE_BASE_URL=f"http://127.0.0.1:{port}", ATTO_REQUEST_TIMEOUT_S="1") as service:
        async with reachable(network, port):
            address = await service.open_account(network, 100)
        response = await service.send(address, NOBODY, 1)
        assert (response.status_code, response.json()["code"]) == (504, "outcome_unknown")
        state = network.state(address)
        assert state is not None
        assert state.height == 1
        async with reachable(network, port):
            assert (await service.until_balance(address, 99))["height"] == 2
            assert entry(await service.send(address, NOBODY, 1))["height"] == 3


@pytest.fixture
async def address(start: Start, network: AttoNetwork) -> str:
    """An account with 100 raw, from before the clocks went apart."""
    async with start() as service:
        return await service.open_account(network, 100)


async def test_blocks_carry_the_nodes_time(
    start: Start, network: AttoNetwork, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = ShiftedClock()
    ahead.ahead_ms = 30_000
    monkeypatch.setattr(network.sandbox.node, "clock", ahead)
    async with start() as service:
        await eventually(lambda: status_of(service, "attoNode") is Status.UP)
        before_ms = ahead.now_ms()
        sent = entry(await service.send(address, NOBODY, 1))
        assert before_ms - ROUGHLY_MS < sent["timestamp"] < ahead.now_ms() + ROUGHLY_MS


async def test_impossible_time_of_the_node_is_not_believed(
    start: Start, network: AttoNetwork, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    liar = ShiftedClock()
    liar.ahead_ms = 400 * DAY_MS
    monkeypatch.setattr(network.sandbox.node, "clock", liar)
    async with start() as service:
        words = "The node's clock and this machine's are more than a day apart"
        await eventually(lambda: service.health.components()["attoNode"].detail == words)
        before_ms = network.clock.now_ms()
        sent = entry(await service.send(address, NOBODY, 1))
        assert before_ms - ROUGHLY_MS < sent["timestamp"] < network.clock.now_ms() + ROUGHLY_MS
