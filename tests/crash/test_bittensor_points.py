"""The process dies before and after every single write of a set of weights, and of a commit with its reveal."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy.engine import URL

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
from support.dying_database import DyingDatabase, crash_points
from support.running import running
from support.trail import verify
from support.waiting import PATIENCE_S, eventually

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

BACKGROUND = ("Leases.", "_set_expiry.", "migrate")
"""Writes that are always under way, and say nothing about weights."""


@pytest.fixture(params=[293, 424])
async def node(request: pytest.FixtureRequest) -> AsyncIterator[LiveNode]:
    """The older runtime has the service commit, and reveal later."""
    async with live_node(new_node(request.param, [HOT.public_key, *OTHERS])) as live:
        live.change(WeightsSetRateLimit=0, CommitRevealWeightsEnabled=request.param == 293, Tempo=10)
        yield live


async def ask(service: BittensorService, number: int) -> httpx2.Response:
    weights = {"uids": [0], "weights": [number + 1], "version_key": number}
    return await service.client.post(
        "/wallet/set_weights", json=body(**weights), headers={"Idempotency-Key": f"weights-{number}"}
    )


def submitted(node: LiveNode, *functions: str) -> list[int]:
    """The version keys of the hotkey's calls on the best chain, which tell the sets apart; -1: a commit."""
    return [
        extrinsic.call.args.get("version_key", -1)
        for block in node.node.chain.best
        for extrinsic in (read_extrinsic(raw, block.runtime) for raw in block.extrinsics[1:])
        if extrinsic.signer == HOT.public_key and extrinsic.call.function in functions
    ]


async def through(service: BittensorService, node: LiveNode, number: int) -> None:
    """Asks as a client does that got no answer, until the weights are set (and revealed); blocks are made meanwhile."""
    async with asyncio.timeout(PATIENCE_S):
        while (await ask(service, number)).status_code != 200:  # noqa: ASYNC110 - as a client's loop
            await asyncio.sleep(0.1)
        calls = ("set_mechanism_weights", "reveal_weights")
        while number not in submitted(node, *calls):
            node.produce()
            await asyncio.sleep(0.2)  # a block, at the pace of the hurried clock

        async def is_over() -> bool:
            job: dict[str, Any] = (await service.client.get(f"/wallet/jobs/weights-{number}")).json()
            return job.get("status") == "final"

        while not await is_over():
            node.produce()
            await asyncio.sleep(0.2)


async def test_weights_are_set_once_wherever_the_process_dies(
    node: LiveNode, database_url: URL, tmp_path: Path, dying: Callable[[], DyingDatabase]
) -> None:
    variables = database_variables(database_url, tmp_path) | {"chain_endpoint": node.url}
    async with running_bittensor(variables, clock=Hurried()) as service:
        await import_validator(service)
        dying().names.clear()
        await through(service, node, 0)
        found = crash_points(dying().names, but=BACKGROUND)
    assert len(found) >= 6, found
    for number, point in enumerate(found, start=1):
        async with running_bittensor(variables, clock=Hurried()) as service:
            dying().arm(point)
            async with running(through(service, node, number)):
                await eventually(lambda: dying().dead)
        async with running_bittensor(variables, clock=Hurried()) as service:
            await through(service, node, number)
            await verify(service.ledger.database, service.ledger.trail_key)
        sets = submitted(node, "set_mechanism_weights", "reveal_weights")
        assert sets == list(range(number + 1)), f"{point}: {sets}"
        assert len(submitted(node, "commit_weights")) in {0, number + 1}, str(point)
