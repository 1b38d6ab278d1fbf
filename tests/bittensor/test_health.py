"""Work that fails is seen in health, and is well again when it works."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import URL

from strongroom.core.runtime.telemetry import ComponentHealth, Status
from support.bittensor.live_node import LiveNode, live_node, new_node
from support.bittensor.weighing import OTHERS, Hurried, body
from support.bittensor_service import (
    HOT,
    BittensorService,
    database_variables,
    import_validator,
    running_bittensor,
)
from support.waiting import eventually


@pytest.fixture
async def node() -> AsyncIterator[LiveNode]:
    async with live_node(new_node(293, [HOT.public_key, *OTHERS])) as live:
        yield live


@pytest.fixture
async def service(node: LiveNode, tmp_path: Path) -> AsyncIterator[BittensorService]:
    url = URL.create("sqlite", database=str(tmp_path / "bittensor.sqlite3"))
    variables = database_variables(url, tmp_path) | {"chain_endpoint": node.url}
    async with running_bittensor(variables, clock=Hurried()) as running:
        await import_validator(running)
        yield running


def part(service: BittensorService, name: str) -> ComponentHealth:
    return service.health.components()[name]


async def test_an_extrinsic_that_cannot_be_followed_is_named(
    service: BittensorService, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = service.ledger.chain_work._resolver._network

    async def fail(*_: Any) -> None:
        raise KeyError("dispatchInfo")

    monkeypatch.setattr(network, "_verdict", fail)
    asked = await service.client.post("/wallet/set_weights", json=body() | {"async": True})
    assert asked.status_code == 202, asked.text
    await eventually(lambda: part(service, "bittensorExtrinsics").status is Status.DEGRADED)
    detail = part(service, "bittensorExtrinsics").detail or ""
    assert detail == "1 extrinsics are open, 1 are tried again: KeyError: 'dispatchInfo'"
    monkeypatch.undo()
    await eventually(lambda: part(service, "bittensorExtrinsics").status is Status.UP)


async def test_a_job_that_fails_says_why(service: BittensorService, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> bool:
        raise TypeError("no such field")

    runner = service.ledger.chain_work._runner
    monkeypatch.setattr(runner, "_carry_out", fail)
    asked = await service.client.post("/wallet/set_weights", json=body() | {"async": True})
    assert asked.status_code == 202, asked.text
    await eventually(lambda: part(service, "bittensorJobs").status is Status.DEGRADED)
    assert part(service, "bittensorJobs").detail == "1 jobs are tried again: TypeError: no such field"
    monkeypatch.undo()
    await eventually(lambda: part(service, "bittensorJobs").status is Status.UP)


async def test_a_chain_that_goes_away_is_down_until_it_is_back(
    service: BittensorService, node: LiveNode
) -> None:
    await eventually(lambda: part(service, "bittensorChain").last_success_ms is not None)
    await node.close()
    await eventually(lambda: part(service, "bittensorChain").status is Status.DOWN)
    assert "127.0.0.1" not in (part(service, "bittensorChain").detail or "")
    await node.open()
    await eventually(lambda: part(service, "bittensorChain").status is Status.UP)
