"""Weights while the service is sealed: the caller is told that nothing was sent, and nothing of it is left to be sent later."""

from pathlib import Path

import pytest
from sqlalchemy import select

from strongroom.bittensor import tables
from strongroom.core.security.access import OPERATOR
from support.bittensor.live_node import LiveNode
from support.bittensor.weighing import pooled, set_weights, weighing_service
from support.waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("headers", [None, {"Prefer": "respond-async"}], ids=["now", "later"])
async def test_the_caller_may_set_them_with_the_local_wallet(
    node: LiveNode, tmp_path: Path, headers: dict[str, str] | None
) -> None:
    async with weighing_service(node, tmp_path) as service:
        custody = service.ledger.custody
        assert custody is not None
        await custody.seal(OPERATOR)
        answer = await set_weights(service, headers=headers)
        assert answer.status_code == 503
        assert (answer.json()["code"], answer.json()["submitted"]) == ("sealed", False)
        assert await service.ledger.database.fetch_all(select(tables.job)) == []
        assert len(node.node.pool.waiting) == 0


async def test_what_was_signed_before_is_followed_to_its_end(node: LiveNode, tmp_path: Path) -> None:
    async with weighing_service(node, tmp_path) as service:
        custody = service.ledger.custody
        assert custody is not None
        key = custody.ring.current
        asked = set_weights(service, wait_for_inclusion=True)
        await pooled(node)
        await custody.seal(OPERATOR)
        node.produce()
        assert (await asked).json()["success"] is True
        await custody.unseal(OPERATOR, key)
        await eventually(lambda: custody.is_open)
        assert (await service.sign("1763729464123")).status_code == 200
