"""Every route of the admin API, read from its table of routes."""

from collections.abc import AsyncIterator
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx2
import pytest

from access.conftest import Guarded, as_nobody, documentation, with_the_scope, without_the_scope
from strongroom.admin.api.access import ANY
from strongroom.core.security.access import ADMIN, ADMIN_SCOPES
from support.admin_office import Office, running_office
from support.clock import ManualClock
from support.route_table import Operation

pytestmark = pytest.mark.anyio

BODIES: dict[str, Any] = {
    "POST /admin/v1/ledgers/{ledger}/unseal": {"key": "AB" * 32},
    "POST /admin/v1/freeze": {"reason": "a theft"},
    "POST /admin/v1/ledgers/{ledger}/freezes": {"scope": "ledger", "reason": "a theft"},
    "POST /admin/v1/ledgers/{ledger}/approvals/{approval}/refuse": {"reason": "no"},
    "POST /admin/v1/ledgers/{ledger}/tokens": {"name": "child", "scopes": ["admin:tokens"]},
    "PATCH /admin/v1/ledgers/{ledger}/tokens/{token}": {"rate": "5/s"},
    "POST /admin/v1/ledgers/{ledger}/tokens/{token}/rotate": {},
    "POST /admin/v1/ledgers/{ledger}/rules": {"name": "x", "rule": {"effect": "deny"}},
    "POST /admin/v1/ledgers/{ledger}/rules/test": {"kind": "SEND"},
    "POST /admin/v1/ledgers/{ledger}/webhooks": {"name": "shop", "url": "https://shop.example/"},
    "PATCH /admin/v1/ledgers/{ledger}/webhooks/{endpoint}": {"enabled": False},
    "POST /admin/v1/ledgers/{ledger}/webhooks/{endpoint}/rotate": {},
    "POST /admin/v1/ledgers/{ledger}/webhooks/{endpoint}/replay": {},
    "POST /admin/v1/ledgers/{ledger}/audit/verification": {},
}
VERIFICATION = "GET /admin/v1/ledgers/{ledger}/audit/verification"
CONSISTENCY = "GET /admin/v1/ledgers/{ledger}/audit/consistency"
NOT_THERE = {
    "DELETE /admin/v1/ledgers/{ledger}/freezes/{freeze}",
    "DELETE /admin/v1/ledgers/{ledger}/rules/{rule}",
    "GET /admin/v1/ledgers/{ledger}/payments/{payment}",
    "GET /admin/v1/ledgers/{ledger}/audit/receipts/{payment}",
    CONSISTENCY,
    "GET /admin/v1/ledgers/{ledger}/wallets/{wallet}",
    "GET /admin/v1/ledgers/{ledger}/wallets/{wallet}/accounts",
    "GET /admin/v1/ledgers/{ledger}/wallets/{wallet}/history",
    "GET /admin/v1/payments/{payment}",
    "GET /admin/v1/payments/{payment}/life",
    "GET /admin/v1/ledgers/{ledger}/approvals/{approval}",
    "POST /admin/v1/ledgers/{ledger}/approvals/{approval}/approve",
    "POST /admin/v1/ledgers/{ledger}/approvals/{approval}/refuse",
    "GET /admin/v1/ledgers/{ledger}/tokens/{token}",
    "PATCH /admin/v1/ledgers/{ledger}/tokens/{token}",
    "POST /admin/v1/ledgers/{ledger}/tokens/{token}/revoke",
    "POST /admin/v1/ledgers/{ledger}/tokens/{token}/rotate",
    "GET /admin/v1/ledgers/{ledger}/webhooks/{endpoint}",
    "PATCH /admin/v1/ledgers/{ledger}/webhooks/{endpoint}",
    "DELETE /admin/v1/ledgers/{ledger}/webhooks/{endpoint}",
    "POST /admin/v1/ledgers/{ledger}/webhooks/{endpoint}/rotate",
    "POST /admin/v1/ledgers/{ledger}/webhooks/{endpoint}/test",
    "GET /admin/v1/ledgers/{ledger}/webhooks/{endpoint}/deliveries",
    "POST /admin/v1/ledgers/{ledger}/webhooks/{endpoint}/replay",
}
"""What a caller with the scope is told: 404."""
OF_CALLERS = {
    "GET /admin/v1/me": 200,
    "GET /admin/v1/overview": 200,
    "GET /admin/v1/ledgers/{ledger}/asked": 200,
    "POST /admin/v1/ledgers/{ledger}/asked/{approval}/withdraw": 404,
}
"""Routes that any scope of the admin API opens, and what they answer a caller who has asked for nothing."""


SEALS = ("POST /admin/v1/ledgers/{ledger}/seal", "POST /admin/v1/seal")
UNSEAL = "POST /admin/v1/ledgers/{ledger}/unseal"


class AdminGuarded(Guarded):
    @cached_property
    def guarded(self) -> list[Operation]:
        """Without the routes that any scope of the admin API opens. After the seal nothing else is changed, so it comes last."""
        found = [one for one in super().guarded if one.scope != ANY]
        return sorted(found, key=lambda one: one.name in SEALS)


def problem(response: httpx2.Response, status: int) -> bool:
    document = response.json()
    code = {401: "unauthenticated", 403: "scope_missing"}[status]
    return (
        response.headers["content-type"] == "application/problem+json"
        and (document["status"], document["code"]) == (status, code)
        and document["requestId"] == response.headers["x-request-id"]
    )


@pytest.fixture
async def office(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Office]:
    async with running_office(tmp_path, clock) as office:
        yield office


@pytest.fixture
def surface(office: Office) -> Guarded:
    atto = office.ledgers["atto"]
    return AdminGuarded(
        application=office.application,
        client=office.client,
        tokens=atto.tokens,
        database=atto.database,
        scopes=frozenset(ADMIN_SCOPES) - {ADMIN},
        words=problem,
        now_ms=office.clock.now_ms(),
        values={
            "ledger": "atto",
            "rule": "x",
            "freeze": "x",
            "token": "x",
            "approval": "x",
            "payment": "00" * 32,
            "wallet": "x",
            "endpoint": "x",
        },
        bodies=BODIES,
        queries={CONSISTENCY: {"earlier": "1", "later": "2"}},
    )


async def test_who_may_not_is_refused_on_every_route(surface: Guarded) -> None:
    assert await without_the_scope(surface) == []


async def test_the_scope_of_a_route_opens_it(surface: Guarded) -> None:
    found = await with_the_scope(surface)
    assert found.pop(VERIFICATION) in {
        200,
        404,
    }  # it shows what the route beside it began, before or after this
    assert {name for name, status in found.items() if status == 404} == NOT_THERE
    assert found[UNSEAL] == 409  # it is not sealed
    assert {status for name, status in found.items() if name not in {*NOT_THERE, UNSEAL}} == {200, 201}


async def test_admin_opens_every_route(surface: Guarded) -> None:
    token = await surface.token(ADMIN)
    for one in sorted(surface.operations, key=lambda one: one.name in SEALS):
        good = {409} if one.name == UNSEAL else {200, 201, 204, 404}
        assert (await surface.ask(one, f"Bearer {token}")).status_code in good, one.name


async def test_any_scope_opens_what_concerns_callers_themselves_and_no_other_right_does(
    surface: Guarded,
) -> None:
    found = {one.name: one for one in surface.operations if one.scope == ANY}
    assert found.keys() == OF_CALLERS.keys()
    for name, one in found.items():
        for scope in ADMIN_SCOPES:
            token = await surface.token(scope)
            assert (await surface.ask(one, f"Bearer {token}")).status_code == OF_CALLERS[name], name
        stranger = await surface.ask(one, f"Bearer {await surface.token('*', 'admin:*', 'atto:*')}")
        assert problem(stranger, 403), name
        for nobody in (None, f"Bearer {await surface.revoked()}"):
            assert problem(await surface.ask(one, nobody), 401), name


async def test_what_is_open_to_everybody(surface: Guarded) -> None:
    public = documentation("/admin/v1/docs", "/admin/v1/openapi.json")
    assert await as_nobody(surface) == dict.fromkeys(public, 200)


async def test_every_other_route_names_a_scope(surface: Guarded) -> None:
    assert {one.name for one in surface.guarded if one.scope not in ADMIN_SCOPES} == set()
