"""Every route of the Atto API, read from its table of routes, where tokens are required."""

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from access.conftest import Guarded, as_nobody, documentation, with_the_scope, without_the_scope
from access.random_requests import (
    AMOUNTS,
    Asked,
    Caller,
    assert_nothing_signed,
    callers_that_may_not,
    signed,
)
from strongroom.atto.definition import REVISIONS
from strongroom.atto.scopes import SCOPES
from strongroom.core.storage.database import sqlite_url
from support.atto_network import AttoNetwork
from support.atto_service import NOBODY, SQLITE_NAME, AttoService, database_variables, running_service
from support.schema import Schemas

pytestmark = pytest.mark.anyio

PUBLIC = documentation("/", "/v3/api-docs") | {"POST /noop"}
"""`/noop` does nothing, as in the original."""
MNEMONIC = " ".join(["abandon"] * 23 + ["art"])
BODIES: dict[str, Any] = {
    "PUT /wallets/{name}": {"mnemonic": MNEMONIC},
    "PUT /wallets/{name}/locks/UNLOCKED": {"encryptionKey": "00" * 32},
    "PUT /wallets/{name}/encryptionKey": {
        "encryptionKey": "00" * 32,
        "newEncryptionKey": "0123456789abcdef" * 4,
    },
    "POST /wallets/{walletName}/recoveries": {"gapLimit": 1},
    "POST /wallets/accounts/{address}/transactions/SEND": {"receiverAddress": NOBODY, "amount": 1},
    "POST /wallets/accounts/{address}/transactions/CHANGE": {"representativeAddress": NOBODY},
    "PUT /wallets/accounts/{address}/label": {"label": "x"},
}
REFUSED_FOR_OTHER_REASONS = {
    "GET /wallets/accounts": 400,
    "POST /wallets/accounts": 400,
    "PUT /wallets/accounts": 400,
    "POST /wallets/{name}": 409,
    "PUT /wallets/{name}": 409,
    "PUT /wallets/{name}/locks/UNLOCKED": 400,
    "PUT /wallets/{name}/encryptionKey": 400,
    "POST /wallets/{name}/exports": 403,
    "GET /wallets/{walletName}/progress": 404,
    "POST /wallets/{walletName}/accounts": 400,
    "POST /wallets/{walletName}/accounts/ranges/{toIndex}": 400,
    "POST /wallets/{walletName}/recoveries": 400,
    "POST /wallets/accounts/{address}/transactions/SEND": 400,
    "POST /wallets/accounts/{address}/transactions/CHANGE": 400,
    "GET /wallets/accounts/transactions/{transactionHash}": 404,
    "GET /wallets/accounts/transactions/approvals/{approvalId}": 404,
}
"""The wallet is there already, and locked on the way: what a caller with the scope is told."""


def spring(response: httpx2.Response, status: int) -> bool:
    document = response.json()
    code = {401: "unauthenticated", 403: "forbidden"}[status]
    return (document["status"], document["code"]) == (status, code) and "requestId" in document


@pytest.fixture
async def service(network: AttoNetwork, schemas: Schemas, tmp_path: Path) -> AsyncIterator[AttoService]:
    url = schemas.fill(sqlite_url(str(tmp_path / SQLITE_NAME)), [REVISIONS])
    variables = database_variables(url, tmp_path) | {"ATTO_REQUIRE_TOKEN": "true"}
    async with running_service(network, variables) as service:
        yield service


@pytest.fixture
async def surface(service: AttoService, network: AttoNetwork) -> Guarded:
    """With a funded account, so that a send that is let through is one."""
    surface = Guarded(
        application=service.application,
        client=service.client,
        tokens=service.ledger.tokens,
        database=service.ledger.database,
        scopes=frozenset(SCOPES),
        words=spring,
        now_ms=network.clock.now_ms(),
        values={},
        moving=frozenset({"notification_state"}),
        bodies=BODIES,
    )
    service.client.headers["Authorization"] = f"Bearer {await surface.token('atto:*')}"
    wallet = await service.create_wallet()
    address = await service.open_account(network, 10, wallet)
    surface.values = {
        "name": wallet.name,
        "walletName": wallet.name,
        "address": address,
        "toIndex": "1",
        "approvalId": "none",
        "transactionHash": "00" * 32,
    }
    return surface


async def test_who_may_not_is_refused_on_every_route(surface: Guarded) -> None:
    assert await without_the_scope(surface) == []


async def test_the_scope_of_a_route_opens_it(surface: Guarded) -> None:
    found = await with_the_scope(surface)
    assert {name: found[name] for name in REFUSED_FOR_OTHER_REASONS} == REFUSED_FOR_OTHER_REASONS
    assert {status for name, status in found.items() if name not in REFUSED_FOR_OTHER_REASONS} == {200}


async def test_what_is_open_to_everybody(surface: Guarded) -> None:
    assert await as_nobody(surface) == dict.fromkeys(PUBLIC, 200)


async def test_every_other_route_names_a_scope(surface: Guarded) -> None:
    assert {one.name for one in surface.guarded if one.scope not in SCOPES} == set()


@AMOUNTS
async def test_random_requests_of_those_who_may_not_sign_nothing(
    surface: Guarded, service: AttoService, network: AttoNetwork, amount: int
) -> None:
    cold = await service.create_wallet()
    frozen = await service.open_account(network, 10, cold)
    open_ = surface.values["address"]
    signing = frozenset({"atto:send", "atto:change"})
    callers = await callers_that_may_not(surface, service.ledger.rules, signing, cold.name)

    def generate(randomness: random.Random, caller: Caller) -> Asked:
        address = frozen if caller.frozen_wallet_alone else randomness.choice([open_, frozen, NOBODY])
        receiver = randomness.choice([NOBODY, open_, frozen, "x"])
        headers = {"Idempotency-Key": str(randomness.randrange(50))} if randomness.random() < 0.3 else {}
        kind = randomness.choice(["SEND", "SEND", "CHANGE"])
        body: dict[str, Any] = {"representativeAddress": receiver}
        if kind == "SEND":
            raw = randomness.choice([1, 5, "7", 10, 11, 0, -1, 2**64, randomness.randrange(10**12)])
            body = {"receiverAddress": receiver, "amount": raw}
            if randomness.random() < 0.2:
                body["lastHeight"] = randomness.randrange(3)
        path = f"/wallets/accounts/{address}/transactions/{kind}"
        return Asked(method="POST", path=path, body=body, headers=headers)

    async def submitted() -> object:
        return network.state(open_), network.state(frozen)

    await assert_nothing_signed(surface, callers, generate, amount, submitted)
    before = await signed(surface.database)
    for address in (open_, NOBODY):
        entry_or_refusal = await service.send(address, NOBODY, 1)
        assert entry_or_refusal.status_code == (200 if address == open_ else 404)
    assert await signed(surface.database) == (before[0] + 1, before[1] + 1)
