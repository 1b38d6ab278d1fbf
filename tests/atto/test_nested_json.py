"""JSON that is nested too deep is refused in the surface's own error format, from every sender."""

import pytest

from strongroom.atto.gateway.node import HttpNode
from strongroom.atto.gateway.remote_worker import RemoteWorker
from strongroom.atto.protocol import Address, Network
from strongroom.core.clock import SystemClock
from strongroom.core.errors import StrongroomError
from support.atto_service import NOBODY, AttoService
from support.hathor.canned_node import OTHERWISE, CannedNode
from support.nested import NESTED, within
from support.serving import serving

pytestmark = pytest.mark.anyio

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("data", NESTED)
async def test_a_body_is_refused(shared_service: AttoService, data: bytes) -> None:
    account = f"/wallets/accounts/{NOBODY}"
    for method, path in (
        ("PUT", "/wallets/nested"),
        ("PUT", "/wallets/nested/locks/UNLOCKED"),
        ("POST", "/wallets/nested/recoveries"),
        ("POST", f"{account}/transactions/SEND"),
        ("POST", f"{account}/transactions/CHANGE"),
        ("PUT", f"{account}/label"),
        ("POST", "/wallets/accounts/entries"),
    ):
        answer = await shared_service.client.request(method, path, content=data, headers=JSON)
        assert answer.status_code == 400, path
        assert answer.json()["message"].startswith("Failed to read HTTP message"), path
        assert answer.json()["code"] == "bad_request"


async def test_a_body_that_is_not_read_does_no_harm(shared_service: AttoService) -> None:
    name = f"unread-{id(shared_service)}"
    answer = await shared_service.client.post(f"/wallets/{name}", content=NESTED[0], headers=JSON)
    assert answer.status_code == 200


@pytest.mark.parametrize("data", [*NESTED, within("work"), within("differenceMillis")])
async def test_a_node_and_a_work_server_that_answer_so_give_no_answer(data: bytes) -> None:
    canned = CannedNode({OTHERWISE: None})
    canned.answers[OTHERWISE] = data
    address = Address.parse(NOBODY)
    async with serving(canned) as url:
        node, worker = HttpNode(url, SystemClock()), RemoteWorker(url, 5)
        try:
            with pytest.raises(StrongroomError):
                await node.clock_offset_ms()
            with pytest.raises(StrongroomError):
                await node.account(address)
            with pytest.raises(StrongroomError):
                await worker.work(Network.LOCAL, SystemClock().now_ms(), bytes(32))
        finally:
            await node.close()
            await worker.close()
