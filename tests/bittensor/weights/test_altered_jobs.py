"""Jobs that another program put into the database: weights are signed for nobody who did not ask the service."""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, update

from strongroom.bittensor import tables
from strongroom.core.guard.state import FreezeScope
from strongroom.core.security.access import OPERATOR
from support.bittensor.live_node import LiveNode
from support.bittensor.weighing import body, reaches, settled, weighing_service
from support.bittensor_service import WALLET, BittensorService
from support.waiting import until_true

pytestmark = pytest.mark.anyio


@pytest.fixture
async def service(node: LiveNode, tmp_path: Path) -> AsyncIterator[BittensorService]:
    async with weighing_service(node, tmp_path) as running:
        yield running


async def frozen_job(service: BittensorService) -> dict[str, Any]:
    """A job that waits, as it is stored."""
    await service.ledger.rules.freeze(OPERATOR, FreezeScope.WALLET, WALLET, "a lost laptop")
    answer = await service.client.post("/wallet/set_weights", json=body() | {"async": True})
    job = answer.json()["job_id"]

    async def is_refused() -> bool:  # from then on the runner writes nothing into the row
        return "refusal" in json.loads((await stored(service, job))["document"])

    await until_true(is_refused)
    return await stored(service, job)


async def stored(service: BittensorService, job: str) -> dict[str, Any]:
    row = await service.ledger.database.fetch_one(select(tables.job).where(tables.job.c.id == job))
    assert row is not None
    return dict(row._mapping)


async def alter(service: BittensorService, job: str, **values: Any) -> None:
    statement = update(tables.job).where(tables.job.c.id == job).values(**values)

    def work(connection: Connection) -> None:
        connection.execute(statement)

    await service.ledger.database.write(work)


def changed(row: Mapping[str, Any], **values: Any) -> str:
    return json.dumps(json.loads(row["document"]) | values)


def free(row: Mapping[str, Any]) -> dict[str, Any]:
    """What the thief's own job has: the rights of a caller without a token."""
    rights = {"scopes": ["*"], "limits": "", "token": None, "source": "", "makers": []}
    return {"document": changed(row, values=[1, 1, 65535], principal=rights)}


@pytest.mark.parametrize(
    "alteration",
    [
        lambda row: {"document": changed(row, values=[1, 1, 65535])},
        lambda row: {"document": changed(row, hotkey="other")},
        lambda row: {"document": changed(row, tag="00" * 32)},
        lambda row: {"document": changed(row, tag=7)},
        free,
        lambda _row: {"principal": "token:owner"},
        lambda _row: {"fingerprint": hashlib.sha256(b"other").digest()},
        lambda row: {"created_at_ms": row["created_at_ms"] + 1_000},
        lambda _row: {"subject": bytes(32)},
    ],
)
async def test_a_job_that_another_program_changed_is_not_signed(
    node: LiveNode, service: BittensorService, alteration: Any
) -> None:
    row = await frozen_job(service)
    await alter(service, row["id"], **alteration(row))

    async def is_closed() -> bool:
        return not (await stored(service, row["id"]))["is_open"]

    await until_true(is_closed)
    result = json.loads((await stored(service, row["id"]))["result"])
    assert result["error"]["name"] == "JobAltered"
    assert not node.node.pool.waiting


async def test_a_job_that_another_program_put_in_is_not_signed(
    node: LiveNode, service: BittensorService
) -> None:
    row = await frozen_job(service)
    forged = row | free(row) | {"id": "f00d", "slot": None}
    await service.ledger.rules.unfreeze(OPERATOR, FreezeScope.WALLET, WALLET)
    await reaches(service, row["id"], "pooled")
    node.produce()
    await service.ledger.database.write(lambda c: c.execute(insert(tables.job), forged))
    ended = await settled(service, "f00d")
    assert ended["result"]["error"]["name"] == "JobAltered"
    assert "Ask for the weights again" in ended["result"]["error"]["docs"]
    assert not node.node.pool.waiting
