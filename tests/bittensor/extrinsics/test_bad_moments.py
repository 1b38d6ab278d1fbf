"""What changes between two steps of a call: a lead that is lost, a token or a key taken away, finality that stands still."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.engine import URL

from strongroom.bittensor import tables
from strongroom.bittensor.gateway import InvalidNodeResponse
from strongroom.bittensor.jobs.job import Job, JobExists
from strongroom.bittensor.jobs.runner import principal_of
from strongroom.bittensor.jobs.store import find_job
from strongroom.bittensor.jobs.tags import JobTags
from strongroom.bittensor.keystore.names import hotkey
from strongroom.bittensor.weights.request import REVEAL
from strongroom.core.errors import Unavailable
from strongroom.core.security.access import OPERATOR
from strongroom_sandbox.bittensor.codec.runtime import Call
from strongroom_sandbox.bittensor.execution import accounts
from strongroom_sandbox.bittensor.node.faults import Lies
from support.bittensor.live_node import LiveNode, live_node, new_node
from support.bittensor.signing import signed
from support.bittensor.weighing import OTHERS, UPSCALED, Hurried, body, pooled, revealed, set_weights, settled
from support.bittensor_service import (
    HOT,
    HOTKEY,
    WALLET,
    BittensorService,
    database_variables,
    import_validator,
    running_bittensor,
)
from support.waiting import PATIENCE_S, eventually

KEY = {"Idempotency-Key": "once"}


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


async def in_background(service: BittensorService, headers: dict[str, str] | None = None) -> str:
    """The id of a new job."""
    asked = await service.client.post("/wallet/set_weights", json=body() | {"async": True}, headers=headers)
    assert asked.status_code == 202, asked.text
    job: str = asked.json()["job_id"]
    return job


async def told(service: BittensorService, job: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """The job's result, once there is one."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = (await service.client.get(f"/wallet/jobs/{job}", headers=headers)).json()
            if found.get("result") is not None:
                result: dict[str, Any] = found["result"]
                return result
            await asyncio.sleep(0.05)


async def stored(service: BittensorService, job_id: str) -> Job:
    found = await service.ledger.database.read(
        lambda connection: find_job(connection, "service-token", job_id)
    )
    assert found is not None
    return found


async def stored_result(service: BittensorService, job: str) -> str:
    """The job's result from the database, for a job that nobody may ask for any more."""
    over = select(tables.job.c.result).where(tables.job.c.id == job, tables.job.c.is_open.is_(False))
    async with asyncio.timeout(PATIENCE_S):
        while True:
            row = await service.ledger.database.fetch_one(over)
            if row is not None:
                return str(row.result)
            await asyncio.sleep(0.05)


def signatures(service: BittensorService) -> float:
    made = service.metrics.registry.get_sample_value
    labels = {"ledger": "bittensor", "kind": "SubtensorModule.set_weights"}
    return made("strongroom_signatures_total", labels) or 0.0


async def too_soon(node: LiveNode) -> None:
    """The subnet takes the hotkey's weights in six blocks again."""
    node.change(LastUpdate=[node.node.chain.head.number, 0, 0, 0], WeightsSetRateLimit=6)


@pytest.mark.parametrize("trouble", [InvalidNodeResponse("no genesis"), Unavailable("no database")], ids=str)
async def test_what_a_new_connection_could_not_take_was_never_sent(
    node: LiveNode, service: BittensorService, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    """Told that nothing was submitted, the caller may use another way: then it must not be offered later."""

    async def refuse(_raw: bytes) -> None:
        await asyncio.sleep(0)
        raise trouble

    with monkeypatch.context() as patch:
        patch.setattr(service.ledger.chain_work.chain, "submit", refuse)
        answer = await set_weights(service, headers=KEY)
        assert answer.json()["submitted"] is False
        assert answer.status_code in {502, 503}
    assert (await service.client.get("/wallet/jobs/once")).status_code == 404
    assert (await set_weights(service, weights=[3, 2, 1])).json()["success"] is True
    assert len(node.node.pool.waiting) == 1


async def test_a_database_that_goes_away_between_signing_and_the_answer(
    node: LiveNode, service: BittensorService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was submitted: nobody may be told otherwise, and what was signed is followed once the database is back."""
    database = service.ledger.database
    write = database.write

    async def away_after_signing(work: Any, **more: Any) -> Any:
        if any(unit in str(work) for unit in ("Resolver.", "Verdicts.")):
            raise Unavailable("The database does not answer")
        return await write(work, **more)

    with monkeypatch.context() as patch:
        patch.setattr(database, "write", away_after_signing)
        answer = await set_weights(service)
        assert (answer.status_code, answer.json()["submitted"]) == (504, "unknown")
        other = await set_weights(service, weights=[3, 2, 1])
        assert other.status_code in {409, 503}
    assert len(node.node.pool.waiting) == 1
    node.produce()
    job = answer.json()["detail"].rpartition("/")[2]
    assert (await settled(service, job))["result"]["success"] is True
    assert node.weights(0) == UPSCALED


async def test_a_replica_that_lost_its_lead_signs_no_job_again(
    node: LiveNode, service: BittensorService
) -> None:
    job_id = await in_background(service)
    await pooled(node)

    job = replace(await stored(service, job_id), extrinsic=None)
    with pytest.raises(JobExists):
        await service.ledger.chain_work.weights.carry_out(principal_of(job), job)
    assert len(node.node.pool.waiting) == 1
    node.change(WeightsSetRateLimit=0)
    node.produce()
    assert (await told(service, job_id))["success"] is True
    with pytest.raises(JobExists):
        await service.ledger.chain_work.weights.carry_out(principal_of(job), job)
    assert signatures(service) == 1


async def test_a_replica_that_lost_its_lead_ends_no_job_that_was_signed(
    node: LiveNode, service: BittensorService
) -> None:
    """It keeps its place until its outcome is known, and is signed again where that is none."""
    job_id = await in_background(service)
    await pooled(node)
    old = replace(await stored(service, job_id), extrinsic=None, created_at_ms=0)  # the tempo is long over
    stale = JobTags(service.ledger.trail_key).tagged(old)
    assert await service.ledger.chain_work.weights.carry_out(principal_of(stale), stale) is False
    assert (await stored(service, job_id)).is_open
    node.produce()
    assert (await told(service, job_id))["success"] is True


async def test_a_replica_that_lost_its_lead_ends_no_reveal_that_was_signed(
    node: LiveNode, service: BittensorService
) -> None:
    """The chain holds the commit no longer because it was revealed."""
    node.change(CommitRevealWeightsEnabled=True, Tempo=10)
    assert (await set_weights(service, uids=[0], weights=[7])).json()["success"] is True
    node.produce()
    reveals = select(tables.job.c.id).where(tables.job.c.kind == REVEAL)
    reveal_id = (await service.ledger.database.fetch_all(reveals))[0].id
    node.node.production.finality_lag = 1
    assert await revealed(node, HOT.public_key) == [(0, 65535)]
    stale = replace(await stored(service, reveal_id), extrinsic=None)
    assert await service.ledger.chain_work.reveals.carry_out(principal_of(stale), stale) is False
    assert (await stored(service, reveal_id)).is_open
    node.produce(2)
    assert (await settled(service, reveal_id))["result"]["success"] is True


async def test_a_job_of_a_revoked_token_is_not_signed(node: LiveNode, service: BittensorService) -> None:
    mine = await service.token()
    await too_soon(node)
    job = await in_background(service, mine)
    token_id = mine["Authorization"].split("_")[1]
    await service.ledger.tokens.revoke(OPERATOR, token_id)
    node.produce(6)
    assert "TokenRevoked" in await stored_result(service, job)
    assert signatures(service) == 0


async def test_a_job_whose_key_was_removed_keeps_no_place(node: LiveNode, service: BittensorService) -> None:
    await too_soon(node)
    job = await in_background(service)
    await service.ledger.wallets.remove(OPERATOR, hotkey(WALLET, HOTKEY))
    result = await told(service, job)
    assert (result["success"], result["error"]["name"]) == (False, "KeyRemoved")
    await import_validator(service)
    node.produce(6)
    assert (await set_weights(service, weights=[3, 2, 1])).json()["success"] is True


async def test_weights_are_set_while_finality_stands_still(node: LiveNode, service: BittensorService) -> None:
    node.node.production.finality_stalled = True
    node.produce(40)
    assert (await set_weights(service, headers=KEY)).json()["success"] is True
    node.produce()
    assert node.weights(0) == UPSCALED
    node.node.production.finality_stalled = False
    node.produce()
    assert (await settled(service, "once"))["result"]["success"] is True


async def test_weights_that_another_program_replaced_are_not_told_to_be_set(
    node: LiveNode, service: BittensorService
) -> None:
    """The node's own wallet set others while the service was away."""
    asked = set_weights(service, wait_for_finalization=True)
    await pooled(node)
    node.produce()
    first = (await asked).json()
    assert (await set_weights(service)).json() == first
    node.change(LastUpdate=[node.node.chain.head.number + 1, 0, 0, 0])
    again = (await set_weights(service)).json()
    assert (again["success"], again["error"]["name"]) == (False, "TooSoon")


async def test_a_commit_that_was_signed_anew_is_revealed(node: LiveNode, service: BittensorService) -> None:
    """Its first signature had a nonce that was taken elsewhere; the reveal belongs to the second."""
    node.node.produce(lambda ctx: accounts.deposit(ctx, HOT.public_key, 10**9), empty=True)
    node.change(CommitRevealWeightsEnabled=True, Tempo=10)
    node.node.submit(
        signed(node.node, "//Strongroom//hot", Call("System", "remark", {"remark": b"elsewhere"}))
    )
    node.node.faults.lies = Lies(next_index_by=-1)
    asked = set_weights(service, uids=[0], weights=[7], wait_for_finalization=True)
    await eventually(lambda: sum("author_submitExtrinsic" in request for request in node.requests) == 1)
    node.node.faults.lies = Lies()
    await pooled(node, 2)
    node.produce()
    assert (await asked).json()["success"] is True
    assert await revealed(node, HOT.public_key) == [(0, 65535)]
