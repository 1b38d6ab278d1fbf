"""The process dies before and after every single write of weights that people must approve: they are set once, and no others."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx2
import pytest
from sqlalchemy.engine import URL

from strongroom.core.errors import StrongroomError
from strongroom.core.guard.approvals.approval import ApprovalState
from strongroom.core.security.access import OPERATOR, Principal
from strongroom_sandbox.bittensor.execution.extrinsics import read_extrinsic
from support.bittensor.live_node import LiveNode, live_node, new_node
from support.bittensor.weighing import OTHERS, Hurried, body
from support.bittensor_service import (
    HOT,
    BittensorService,
    database_variables,
    import_validator,
    running_bittensor,
)
from support.dying_database import Died, DyingDatabase, crash_points
from support.running import running
from support.trail import verify
from support.waiting import PATIENCE_S, eventually

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
ANN = Principal(name="token:ann", scopes=frozenset({"bittensor:approve"}))
RULE = {"effect": "approve", "approvals": {"needed": 1}}
BACKGROUND = ("Leases.", "_set_expiry.", "migrate", "TokenUses.", "RateStore", "DatabaseRates")
"""Writes that are always under way, and say nothing about weights."""


@pytest.fixture
async def node() -> AsyncIterator[LiveNode]:
    async with live_node(new_node(424, [HOT.public_key, *OTHERS])) as live:
        live.change(WeightsSetRateLimit=0)
        yield live


async def ask(service: BittensorService, number: int) -> httpx2.Response:
    weights = {"uids": [0], "weights": [number + 1], "version_key": number}
    return await service.client.post(
        "/wallet/set_weights", json=body(**weights), headers={"Idempotency-Key": f"weights-{number}"}
    )


def submitted(node: LiveNode) -> list[int]:
    """The version keys of the weights on the best chain, which tell the sets apart."""
    return [
        extrinsic.call.args["version_key"]
        for block in node.node.chain.best
        for extrinsic in (read_extrinsic(raw, block.runtime) for raw in block.extrinsics[1:])
        if extrinsic.signer == HOT.public_key and extrinsic.call.function == "set_mechanism_weights"
    ]


async def is_approved(service: BittensorService, number: int) -> bool:
    """Asks, and has the people say yes to what waits."""
    answer = await ask(service, number)
    approval = answer.json().get("approval_id")
    if approval is None:
        return answer.status_code == httpx2.codes.OK
    try:
        await service.ledger.approvals.approve(ANN, approval)
    except StrongroomError as error:
        return error.instance_code in {"approval_voted", "approval_decided"}
    return True


async def through(service: BittensorService, node: LiveNode, number: int) -> None:
    """Until the weights are in a final block. Of every second set the client does not come back after the approval."""
    async with asyncio.timeout(PATIENCE_S):
        while not await is_approved(service, number):  # noqa: ASYNC110 - as a client's loop
            await asyncio.sleep(0.1)
        while number not in submitted(node):
            if number % 2:
                await ask(service, number)
            node.produce()
            await asyncio.sleep(0.2)  # a block, at the pace of the hurried clock

        async def is_over() -> bool:
            job = (await service.client.get(f"/wallet/jobs/weights-{number}")).json()
            return bool(job.get("status") == "final")

        while not await is_over():
            node.produce()
            await asyncio.sleep(0.2)


async def until_death(service: BittensorService, node: LiveNode, number: int) -> None:
    with contextlib.suppress(Died):
        await through(service, node, number)


async def test_approved_weights_are_set_once_wherever_the_process_dies(
    node: LiveNode, database_url: URL, tmp_path: Path, dying: Callable[[], DyingDatabase]
) -> None:
    variables = database_variables(database_url, tmp_path) | {"chain_endpoint": node.url}
    clock = Hurried()  # a clock of each life would go back at the next one's start
    async with running_bittensor(variables, clock=clock) as service:
        await import_validator(service)
        await service.ledger.rules.add(OPERATOR, "everything", json.dumps(RULE))
        dying().names.clear()
        await through(service, node, 0)
        found = crash_points(dying().names, but=BACKGROUND)
    assert any("_park" in point.name for point in found), found
    assert len(found) >= 8, found
    for number, point in enumerate(found, start=1):
        async with running_bittensor(variables, clock=clock) as service:
            dying().arm(point)
            async with running(until_death(service, node, number)):
                await eventually(lambda: dying().dead)
        async with running_bittensor(variables, clock=clock) as service:
            await through(service, node, number)
            await verify(service.ledger.database, service.ledger.trail_key)
            approvals = await service.ledger.approvals.list(list(ApprovalState))
        assert submitted(node) == list(range(number + 1)), str(point)
        assert [each.state for each in approvals] == [ApprovalState.SPENT] * (number + 1), str(point)
