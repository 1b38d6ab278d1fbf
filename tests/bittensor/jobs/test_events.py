"""Webhooks tell of a set of weights: that it was signed, what became of it, and that its job is closed."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from strongroom.core.storage.database import sqlite_url
from support.atto_service import until
from support.bittensor.live_node import LiveNode, live_node, new_node
from support.bittensor.weighing import OTHERS, Hurried, pooled, set_weights
from support.bittensor_service import (
    HOT,
    BittensorService,
    database_variables,
    import_validator,
    running_bittensor,
)
from support.webhooks.house import BOSS
from support.webhooks.page import assert_as_documented

TOLD = ["payment.signed", "job.closed", "payment.confirmed"]


@pytest.fixture
def database_url(tmp_path: Path) -> URL:
    return sqlite_url(str(tmp_path / "test.sqlite3"))


@pytest.fixture
async def node() -> AsyncIterator[LiveNode]:
    async with live_node(new_node(424, [HOT.public_key, *OTHERS])) as live:
        live.change(WeightsSetRateLimit=0)
        yield live


@pytest.fixture
async def service(node: LiveNode, database_url: URL, tmp_path: Path) -> AsyncIterator[BittensorService]:
    variables = database_variables(database_url, tmp_path) | {"chain_endpoint": node.url}
    async with running_bittensor(variables, clock=Hurried()) as running:
        await import_validator(running)
        yield running


async def test_a_set_of_weights_is_told_from_its_signature_to_its_job_s_end(
    node: LiveNode, service: BittensorService
) -> None:
    webhooks = service.ledger.webhooks
    await webhooks.add(BOSS, "shop", "https://shop.example/", kinds=["payment.*", "job.*"])
    asked = set_weights(service, wait_for_finalization=True)
    await pooled(node)
    node.produce()
    answer = (await asked).json()
    found = await until(lambda: webhooks.events("shop"), lambda events: len(events) == len(TOLD))
    events = [*reversed(found)]
    assert [one.kind for one in events] == TOLD
    for one in events:
        assert_as_documented(json.loads(one.payload))
    assert len({one.stream for one in events}) == 1
    assert answer["job_id"] in events[1].payload
    assert answer["extrinsic_hash"] in events[0].payload
    assert answer["extrinsic_hash"] in events[2].payload
