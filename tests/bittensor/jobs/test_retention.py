"""What is over is forgotten after a while; what is open, and what belongs to it, is not."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select
from sqlalchemy.engine import URL

from strongroom.bittensor import tables
from strongroom.bittensor.jobs.retention import DAY_MS, Retention
from strongroom.bittensor.jobs.store import close_job
from strongroom.core.clock import SystemClock
from strongroom.core.intents.tables import intent as intents
from support.bittensor.live_node import NETUID, LiveNode
from support.bittensor.weighing import Hurried, body, pooled, set_weights, settled
from support.bittensor_service import (
    BittensorService,
    database_variables,
    import_validator,
    running_bittensor,
)
from support.trail import verify

KEY = {"Idempotency-Key": "once"}


class Later(SystemClock):
    def __init__(self, days: int) -> None:
        self._days = days

    def now_ms(self) -> int:
        return super().now_ms() + self._days * DAY_MS


@pytest.fixture
async def service(node: LiveNode, database_url: URL, tmp_path: Path) -> AsyncIterator[BittensorService]:
    variables = database_variables(database_url, tmp_path) | {"chain_endpoint": node.url}
    async with running_bittensor(variables, clock=Hurried()) as running:
        await import_validator(running)
        yield running


async def purge(service: BittensorService, days: int) -> tuple[int, int]:
    """So many days later. Returns the jobs and the extrinsics that are left."""
    database = service.ledger.database
    await Retention(days=30, database=database, clock=Later(days)).purge()

    def count(connection: Connection) -> tuple[int, int]:
        jobs, extrinsics = (
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (tables.job, intents)
        )
        return jobs, extrinsics

    return await database.read(count)


async def waiting_job(node: LiveNode, service: BittensorService) -> str:
    """The id of a job that waits for the subnet's turn."""
    node.change(LastUpdate=[node.node.chain.head.number, 0, 0, 0], WeightsSetRateLimit=100)
    asked = await service.client.post("/wallet/set_weights", json=body() | {"async": True})
    job: str = asked.json()["job_id"]
    return job


async def test_what_is_over_is_forgotten_after_a_while(node: LiveNode, service: BittensorService) -> None:
    asked = set_weights(service, headers=KEY)
    await pooled(node)
    assert await purge(service, 31) == (1, 1)  # it is not over
    node.produce()
    await asked
    await settled(service, "once")
    while (await service.client.get("/wallet/jobs/once")).json()["status"] != "final":
        node.produce()
    rows = await verify(service.ledger.database, service.ledger.trail_key)
    assert await purge(service, 29) == (1, 1)
    assert await purge(service, 31) == (0, 0)
    assert (await service.client.get("/wallet/jobs/once")).status_code == 404
    assert await verify(service.ledger.database, service.ledger.trail_key) == rows
    node.change(WeightsSetRateLimit=0)
    again = await set_weights(service, headers=KEY)
    assert (again.json()["success"], len(node.node.pool.waiting)) == (True, 1)
    assert [entry.extrinsic.nonce for entry in node.node.pool.waiting.values()] == [1]


async def test_what_waits_keeps_all_that_came_after_it(node: LiveNode, service: BittensorService) -> None:
    """The extrinsic of a commit belongs to the reveal that waits, and is younger than it."""
    job = await waiting_job(node, service)
    headers = await service.token(calls=("SubtensorModule.serve_axon",))
    axon = {"wallet_name": "validator", "transaction_data": {"netuid": NETUID, "ip": "1.2.3.4", "port": 80}}
    served = await service.client.post("/wallet/serve_axon", json=axon, headers=headers)
    assert served.json()["success"] is True, served.text
    while (await service.client.get(f"/wallet/jobs/{served.json()['job_id']}", headers=headers)).json()[
        "status"
    ] != "final":
        node.produce()
    assert await purge(service, 31) == (2, 1)
    await service.ledger.database.write(lambda connection: close_job(connection, job, {"success": False}))
    assert await purge(service, 31) == (0, 0)
