"""A node of another network than the configured one: seen at once, said, and nothing is signed."""

from http import HTTPStatus

import pytest
from sqlalchemy import func, select

from atto.conftest import Start
from strongroom.atto.gateway.node import HttpNode
from strongroom.atto.protocol import Network
from strongroom.core.clock import SystemClock
from strongroom.core.intents.tables import intent as intent_table
from strongroom.core.runtime.telemetry import Status
from strongroom_sandbox.atto.faults.faults import Lie, Refusal
from support.atto_network import AttoNetwork, running_network
from support.atto_service import NOBODY, AttoService, entry
from support.waiting import eventually

pytestmark = pytest.mark.anyio


def verdict(service: AttoService) -> Status:
    return service.health.components()["attoNetwork"].status


async def signatures(service: AttoService) -> int:
    row = await service.ledger.database.fetch_one(select(func.count()).select_from(intent_table))
    assert row is not None
    return int(row[0])


async def test_a_configured_network_that_is_not_the_nodes_is_down_and_signs_nothing(
    start: Start, network: AttoNetwork
) -> None:
    async with start() as service:
        address = await service.open_account(network, 100)
    async with start(NETWORK="beta") as service:
        await eventually(lambda: verdict(service) is Status.DOWN)
        assert service.health.overall() is Status.DOWN
        detail = service.health.components()["attoNetwork"].detail
        assert detail == "The node is of the network LOCAL, and NETWORK says BETA"
        before = await signatures(service)
        refused = await service.send(address, NOBODY, 1)
        assert (refused.status_code, refused.json()["code"]) == (503, "wrong_network")
        assert "nothing was signed" in refused.json()["message"]
        assert await signatures(service) == before


async def test_a_new_service_beside_a_node_of_another_network_says_so(
    start: Start, network: AttoNetwork
) -> None:
    async with start(NETWORK="beta") as service:
        address = await service.create_account()
        await network.fund(address, 7)
        await eventually(lambda: service.health.overall() is Status.DOWN)
        assert await signatures(service) == 0


async def test_a_node_that_is_replaced_by_one_of_another_network_is_noticed_and_the_right_one_too(
    service: AttoService, network: AttoNetwork
) -> None:
    address = await service.open_account(network, 100)
    await eventually(lambda: verdict(service) is Status.UP)
    network.faults.lie = Lie.NETWORK
    network.faults.refusal = Refusal(status=HTTPStatus.SERVICE_UNAVAILABLE, count=2, path="/instants")
    await eventually(lambda: verdict(service) is Status.DOWN)
    before = await signatures(service)
    assert (await service.send(address, NOBODY, 1)).json()["code"] == "wrong_network"
    assert await signatures(service) == before
    network.faults.lie = None
    assert entry(await service.send(address, NOBODY, 1))["height"] == 2
    await eventually(lambda: service.health.overall() is Status.UP)


async def test_a_block_that_a_node_of_another_network_refuses_stays_open(
    start: Start, network: AttoNetwork
) -> None:
    async with start(ATTO_REQUEST_TIMEOUT_S="1") as service:
        address = await service.open_account(network, 100)
        await eventually(lambda: verdict(service) is Status.UP)
        network.sandbox.chain.__class__.network = Network.DEV  # type: ignore[misc]
        try:
            unknown = await service.send(address, NOBODY, 1)
        finally:
            network.sandbox.chain.__class__.network = Network.LOCAL  # type: ignore[misc]
        assert (unknown.status_code, unknown.json()["code"]) == (504, "outcome_unknown")
        assert (await service.until_balance(address, 99))["height"] == 2


async def test_an_empty_node_says_its_network() -> None:
    async with running_network() as empty:
        node = HttpNode(empty.node_url, SystemClock())
        try:
            assert await node.network() is Network.LOCAL
        finally:
            await node.close()


async def test_a_node_without_the_route_is_known_by_its_first_block_or_not_at_all(
    network: AttoNetwork, start: Start
) -> None:
    network.faults.refusal = Refusal(status=HTTPStatus.NOT_FOUND, count=1_000_000, path="/accounts/top")
    node = HttpNode(network.node_url, SystemClock())
    try:
        assert await node.network() is None
    finally:
        await node.close()
    async with start() as service:
        address = await service.open_account(network, 100)
        assert entry(await service.send(address, NOBODY, 1))["height"] == 2
        assert verdict(service) is Status.UP
