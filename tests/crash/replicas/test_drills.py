"""Processes of Hathor and Bittensor are restarted, killed and stopped under load, and so is what they stand on: nothing is lost or doubled.

In the end what the clients were told is held against the node, each process and the database. benchmarks/replicas.py runs the
same with a stop-watch.
"""

from functools import partial

import pytest

from support.replicas.clients import HURRIED_S
from support.replicas.houses import House

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(900)]

MARIADB, GALERA = "mariadb", "galera"
GROUPS = ("single-primary", "multi-primary")


@pytest.mark.parametrize("engine", [MARIADB, GALERA, *GROUPS])
async def test_nobody_notices_a_rolling_restart(house: House) -> None:
    async with house.drill.load():
        await house.drill.restart_each()
    assert house.drill.clients.failed == {}
    await house.settle()


@pytest.mark.parametrize("engine", [MARIADB, GALERA, *GROUPS])
async def test_any_process_is_killed_or_stands_still(house: House) -> None:
    house.drill.clients.answer_s = HURRIED_S
    async with house.drill.load():
        await house.drill.kill_each()
        await house.drill.pause_each()
    await house.settle()


@pytest.mark.parametrize("engine", [MARIADB])
async def test_database_and_redis_go_away_and_come_back(house: House) -> None:
    server, redis, drill = house.databases.server, house.redis, house.drill
    assert server is not None
    drill.clients.answer_s = HURRIED_S
    async with drill.load():
        await drill.without("the database", server.kill, server.start)
        await drill.without("the database that stood still", server.pause, server.resume)
        await drill.without("Redis", redis.stop, redis.start)
        await drill.without("Redis that stood still", redis.pause, redis.resume)
    await house.settle()


@pytest.mark.parametrize("engine", [GALERA])
async def test_a_node_of_galera_leaves_dies_and_comes_back(house: House) -> None:
    cluster, drill = house.databases.galera, house.drill
    assert cluster is not None
    first, second = cluster.first, cluster.second
    drill.clients.answer_s = HURRIED_S

    def rescued() -> None:
        """What is left of two has no quorum until a person gives it one."""
        assert not first.has_quorum()
        first.give_quorum()
        second.recover()

    async with drill.load():
        await drill.without("a node that left", second.stop, second.start)
        await drill.without("a node that was killed, and the quorum", second.kill, rescued)
        await drill.without("Redis", house.redis.stop, house.redis.start)
    await house.settle()


@pytest.mark.parametrize("engine", GROUPS)
async def test_nodes_of_group_replication_die_and_come_back(house: House) -> None:
    group, drill = house.databases.group, house.drill
    assert group is not None
    drill.clients.answer_s = HURRIED_S
    async with drill.load():
        for number in (2, 1):
            await drill.without(f"node {number}", group.nodes[number].kill, partial(group.come_back, number))
    await house.settle()
