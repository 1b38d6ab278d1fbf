"""JSON nested deeper than anybody means: refused in the surface's own words, whoever sends it."""

import pytest

from strongroom.core.clock import SystemClock
from strongroom.core.errors import StrongroomError, Unauthenticated
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.storage.database import Database
from strongroom.hathor.amounts import AmountForm
from strongroom.hathor.api.live.sockets import MAX_FRAME
from strongroom.hathor.gateway.events import HttpEventNode
from strongroom.hathor.gateway.node import HttpNode
from strongroom.hathor.gateway.push import HttpPushNode
from support.clock import ManualClock
from support.hathor.api import serving_api
from support.hathor.canned_node import OTHERWISE, CannedNode
from support.hathor.sockets import TOKENS, ask, house
from support.nested import NESTED, arrays, objects, token, within
from support.serving import serving

pytestmark = pytest.mark.anyio

JSON = {"Content-Type": "application/json", "Host": "localhost"}
BODIES = (
    ("POST", "/wallet/init"),
    ("PUT", "/wallet/auth"),
    ("POST", "/auth/token"),
    ("POST", "/auth/token/readonly"),
    ("POST", "/wallet"),
    ("POST", "/txproposals"),
    ("PUT", "/txproposals/x"),
)
WITH_TOKEN = (
    ("POST", "/wallet/addresses/check_mine"),
    ("POST", "/tx/proposal"),
    ("PUT", "/tx/proposal/0e8b4a6c-9b5d-4a0e-8f0e-5d8f4d5f0a11"),
    ("POST", "/wallet/push/register"),
    ("PUT", "/wallet/push/update"),
)


async def test_a_body_is_refused(database: Database, clock: ManualClock) -> None:
    async with serving_api(database, clock) as api:
        for data in (*NESTED, b"[1e999," + arrays() + b"]"):
            for method, path in BODIES:
                answer = await api.client.request(method, path, content=data, headers=JSON)
                assert (answer.status_code, answer.json()["success"]) == (400, False), path
            for method, path in WITH_TOKEN:
                answer = await api.client.request(method, path, content=data, headers=JSON | api.full())
                assert answer.status_code in {400, 404}, path
                assert answer.json()["success"] is False


async def test_a_token_is_refused(database: Database, clock: ManualClock) -> None:
    async with serving_api(database, clock) as api:
        for nested in (arrays(1400), objects(450), arrays(65), within("alg", 65), b"[" * 1500):
            for forged in (token(nested), token(b'{"alg":"HS256"}', nested)):
                assert len(forged) <= 4096
                answer = await api.client.get("/wallet/status", headers={"Authorization": f"Bearer {forged}"})
                assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"})
                with pytest.raises(Unauthenticated):
                    TOKENS.verify(forged)


async def test_a_frame_is_refused_and_the_connection_goes_on(database: Database) -> None:
    async with house(database) as sockets, sockets.client("/") as client:
        for data in (one for one in NESTED if len(one) <= MAX_FRAME):
            for frame in (data, data.decode()):
                assert await ask(client, frame) == {"type": "error", "message": "Invalid parameters"}
        assert await ask(client, {"action": "ping"}) == {"type": "pong", "message": "pong"}


@pytest.mark.parametrize("data", NESTED)
async def test_a_node_that_answers_so_gives_no_answer(data: bytes) -> None:
    canned = CannedNode({})
    canned.answers[OTHERWISE] = data
    clock = SystemClock()
    async with serving(canned) as url:
        events, node, push = (
            HttpEventNode(f"{url}/v1a/"),
            HttpNode(f"{url}/v1a/", clock, Metrics("test")),
            HttpPushNode(f"{url}/v1a/"),
        )
        try:
            for asked in (
                events.version(),
                events.page(-1),
                node.get("transaction", {"id": "00"}),
                push.push(b"\x00"),
            ):
                with pytest.raises(StrongroomError):
                    await asked
        finally:
            for each in (events, node, push):
                await each.close()


@pytest.mark.parametrize("form", list(AmountForm))
async def test_what_the_node_says_of_a_transaction_is_passed_on_as_far_as_it_is_checked(
    database: Database, clock: ManualClock, form: AmountForm
) -> None:
    canned = CannedNode({OTHERWISE: None})
    async with (
        serving(canned) as url,
        serving_api(database, clock, node_url=f"{url}/v1a/", amounts=form) as api,
    ):
        path = f"/wallet/proxy/transactions/{'ab' * 32}"
        for data, status in ((within("tx", 64), 200), (within("tx", 65), 502), (within("tx"), 502)):
            canned.answers[OTHERWISE] = data
            answer = await api.client.get(path, headers=api.full())
            assert answer.status_code == status, answer.text
