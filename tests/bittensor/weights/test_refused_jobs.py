"""Jobs of the background that a rule or a freeze refuses: they say so, and stand in nobody's way."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from strongroom.core.guard.state import FreezeScope
from strongroom.core.security.access import OPERATOR, Principal
from support.bittensor.live_node import NETUID, LiveNode
from support.bittensor.weighing import (
    body,
    pooled,
    reaches,
    set_weights,
    settled,
    weighing_service,
)
from support.bittensor_service import WALLET, BittensorService, bearer
from support.log_alarms import alarms
from support.waiting import until_true

pytestmark = pytest.mark.anyio
TOLD = "Nothing is signed: the wallet validator is frozen (a lost laptop)"


@pytest.fixture
async def service(node: LiveNode, tmp_path: Path) -> AsyncIterator[BittensorService]:
    async with weighing_service(node, tmp_path) as running:
        yield running


async def background(service: BittensorService, **more: Any) -> str:
    answer = await service.client.post("/wallet/set_weights", json=body(**more) | {"async": True})
    assert answer.status_code == 202
    job: str = answer.json()["job_id"]
    return job


async def refusal_of(service: BittensorService, job: str) -> dict[str, Any]:
    async def seen() -> dict[str, Any]:
        found: dict[str, Any] = (await service.client.get(f"/wallet/jobs/{job}")).json()
        return found

    async def is_refused() -> bool:
        return (await seen())["refusal"] is not None

    await until_true(is_refused)
    found = await seen()
    assert (found["status"], found["result"]) == ("waiting", None)
    refusal: dict[str, Any] = found["refusal"]
    return refusal


async def freeze(service: BittensorService) -> None:
    await service.ledger.rules.freeze(OPERATOR, FreezeScope.WALLET, WALLET, "a lost laptop")


async def test_a_denied_job_ends_and_says_why(node: LiveNode, service: BittensorService) -> None:
    rule = {"effect": "deny", "when": {"facts": {"netuid": [NETUID]}}}
    await service.ledger.rules.add(OPERATOR, "not here", json.dumps(rule))
    with capture_logs() as logs:
        ended = await settled(service, await background(service))
    assert (ended["status"], ended["refusal"]) == ("done", None)
    error = ended["result"]["error"]
    assert (error["name"], error["docs"]) == ("RuleDenied", "The rule 'not here' denies it")
    assert alarms(logs) == []
    assert {each["code"] for each in logs if each["event"] == "a job is refused"} == {"rule_denied"}
    await service.ledger.rules.remove(OPERATOR, "not here")
    assert (await set_weights(service)).json()["success"] is True
    await pooled(node)


async def test_a_frozen_job_says_so_and_is_signed_afterwards(
    node: LiveNode, service: BittensorService
) -> None:
    await freeze(service)
    with capture_logs() as logs:
        job = await background(service)
        assert await refusal_of(service, job) == {"code": "frozen", "detail": TOLD}
    assert alarms(logs) == []
    await service.ledger.rules.unfreeze(OPERATOR, FreezeScope.WALLET, WALLET)
    assert (await reaches(service, job, "pooled"))["refusal"] is None
    await pooled(node)


async def test_newer_weights_take_the_place_of_a_frozen_job(
    node: LiveNode, service: BittensorService
) -> None:
    await freeze(service)
    older = await background(service)
    await refusal_of(service, older)
    newer = await background(service, weights=[1, 2, 4])
    assert (await settled(service, older))["result"]["error"]["name"] == "Superseded"
    await refusal_of(service, newer)
    await service.ledger.rules.unfreeze(OPERATOR, FreezeScope.WALLET, WALLET)
    await reaches(service, newer, "pooled")
    await pooled(node)


async def test_who_waits_for_an_answer_is_judged_anew(node: LiveNode, service: BittensorService) -> None:
    """Also with the weights of a frozen job: its 202 would say nothing of the freeze, and nothing of its end."""
    await freeze(service)
    job = await background(service)
    await refusal_of(service, job)
    refused = await set_weights(service)
    assert (refused.status_code, refused.json()["code"]) == (403, "frozen")
    assert await background(service) == job
    await service.ledger.rules.unfreeze(OPERATOR, FreezeScope.WALLET, WALLET)
    answer = await set_weights(service)
    assert (answer.status_code, answer.json()["success"]) == (200, True)
    await pooled(node)


async def test_a_job_that_stays_frozen_ends_with_the_tempo(node: LiveNode, service: BittensorService) -> None:
    await freeze(service)
    job = await background(service)
    await refusal_of(service, job)
    node.change(Tempo=2, WeightsSetRateLimit=1)  # not before: a slow machine would see it end unasked
    ended = await settled(service, job)
    assert ended["result"]["error"]["name"] == "TempoExpired"
    assert ended["result"]["error"]["docs"].endswith(f"last refused with frozen: {TOLD}")
    assert not node.node.pool.waiting


async def test_a_job_of_a_token_that_a_frozen_one_made_waits(
    node: LiveNode, service: BittensorService
) -> None:
    tokens, rules = service.ledger.tokens, service.ledger.rules
    boss = await tokens.create(OPERATOR, "boss", ["bittensor:submit"])
    giver = Principal(name="token:boss", scopes=frozenset(), token=boss.id)
    shop = bearer((await tokens.create(giver, "shop", ["bittensor:submit", "bittensor:read"])).secret)
    await rules.freeze(OPERATOR, FreezeScope.TOKEN, "boss", "it leaked")
    service.client.headers.update(shop)
    job = await background(service)
    told = "Nothing is signed: the token boss is frozen (it leaked)"
    assert await refusal_of(service, job) == {"code": "frozen", "detail": told}
    refused = await set_weights(service)
    assert (refused.status_code, refused.json()["detail"]) == (403, told)
    await rules.unfreeze(OPERATOR, FreezeScope.TOKEN, "boss")
    await reaches(service, job, "pooled")
    await pooled(node)
