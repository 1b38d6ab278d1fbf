"""The terms of routes are kept before anything else of a request is read."""

from typing import Any

import httpx2
import pytest
from litestar import Litestar, Response, get
from litestar.datastructures import State

from strongroom.core.coordination.rate_limiter import RateLimiter
from strongroom.core.environment import Secret
from strongroom.core.http.forwarded import parse_proxies
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.security.attempts import Attempts
from strongroom.core.storage.database import Database
from strongroom.hathor.amounts import AmountForm
from strongroom.hathor.api.admission import Admission, Clients
from strongroom.hathor.api.refusal import Refusal, forbidden_route
from strongroom.hathor.api.requests import Request
from strongroom.hathor.api.terms import Access, Terms
from strongroom.hathor.protocol.addresses import MAINNET
from strongroom.hathor.scopes import READ
from strongroom.hathor.wallets.access import WalletReader
from strongroom.hathor.wallets.jwt import Tokens
from support.clock import ManualClock, SeededEntropy

pytestmark = pytest.mark.anyio


async def test_a_route_that_is_served_by_mistake_is_open_to_nobody(
    database: Database, clock: ManualClock
) -> None:
    @get("/balances", opt=Terms(access=Access.LEGACY, scope=READ).opt)
    async def balances() -> str:
        return "all of them"

    def refused(_request: object, refusal: Refusal) -> Response[dict[str, object]]:
        return Response(refusal.body(), status_code=refusal.status)

    admission = Admission(
        WalletReader(database, clock, MAINNET),
        Tokens([Secret("foobar")], clock, SeededEntropy()),
        Clients(RateLimiter(clock), parse_proxies(""), burst=1),
        Attempts("hathor", clock, SeededEntropy(), Metrics("test")),
    )
    application: Any = Litestar(
        [balances],
        before_request=admission.admit,
        request_class=Request,
        exception_handlers={Refusal: refused},
        state=State({"amounts": AmountForm.NUMBER}),
        openapi_config=None,
    )
    transport = httpx2.ASGITransport(app=application)
    async with httpx2.AsyncClient(verify=False, transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/balances")
    assert (answer.status_code, answer.json()) == (403, forbidden_route().body())
