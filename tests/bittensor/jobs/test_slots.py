"""The place of a hotkey's weights in a subnet, between two processes."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Row, update
from sqlalchemy.engine import URL
from sqlalchemy.util import await_only

from strongroom.bittensor import tables
from strongroom.bittensor.jobs import store
from strongroom.bittensor.jobs.job import APPROVAL, Job, WaitFor
from strongroom.bittensor.jobs.store import find_job, put_job, require_new
from strongroom.bittensor.jobs.tags import JobTags
from strongroom.core.storage.errors import Duplicate
from support.bittensor.live_node import LiveNode, live_node, new_node
from support.bittensor.weighing import OTHERS
from support.bittensor_service import HOT, BittensorService, database_variables, running_bittensor

OLDER = Job(
    id="older",
    principal="service-token",
    key=None,
    fingerprint=b"o" * 32,
    kind="set_weights",
    subject=b"s" * 32,
    document={APPROVAL: "1"},
    in_background=True,
    wait_for=WaitFor.FINAL,
    created_at_ms=1,
)
NEWER = replace(OLDER, id="newer", fingerprint=b"n" * 32, document={}, created_at_ms=2)


@pytest.fixture
async def node() -> AsyncIterator[LiveNode]:
    async with live_node(new_node(424, [HOT.public_key, *OTHERS])) as live:
        yield live


@pytest.fixture
async def service(
    node: LiveNode, new_database: Callable[[str], URL], tmp_path: Path
) -> AsyncIterator[BittensorService]:
    variables = database_variables(new_database("mariadb"), tmp_path) | {"chain_endpoint": node.url}
    async with running_bittensor(variables) as running:
        yield running


async def test_newer_weights_do_not_end_a_job_that_was_signed_meanwhile(
    service: BittensorService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction that would end it began before, and still sees it wait for people."""
    database, withdrawals = service.ledger.database, service.ledger.withdrawals
    older = JobTags(service.ledger.trail_key).tagged(OLDER)  # the service ends any other
    await database.write(lambda connection: put_job(connection, older, withdrawals))

    def sign(connection: Connection) -> None:
        signed = update(tables.job).where(tables.job.c.id == OLDER.id).values(extrinsic=b"x" * 32)
        connection.execute(signed)

    is_held_up = store._is_held_up

    def signed_elsewhere(row: Row[Any]) -> bool:
        found = is_held_up(row)
        await_only(database.write(sign))
        return found

    def accept(connection: Connection) -> None:
        require_new(connection, NEWER)
        with monkeypatch.context() as patch:
            patch.setattr(store, "_is_held_up", signed_elsewhere)
            put_job(connection, NEWER, withdrawals)

    with pytest.raises(Duplicate):
        await database.write(accept)
    stored = await database.read(lambda connection: find_job(connection, "service-token", "older"))
    assert stored is not None
    assert (stored.is_open, stored.result) == (True, None)
