"""API tokens on the Atto surface: who may call what, until when, and under which name it is remembered."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from sqlalchemy import select
from sqlalchemy.engine import URL

from atto.conftest import Start
from strongroom.core.coordination.rates import parse_rate
from strongroom.core.runtime.telemetry import Status
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.stored_tokens import TokenChange
from strongroom.core.storage import tables
from support.atto_network import AttoNetwork
from support.atto_service import NOBODY, AttoService, assert_refused, entry
from support.redis import Redis

pytestmark = pytest.mark.anyio
NEEDED = "This service needs an API token: Authorization: Bearer <token>"
BODIES: dict[str, dict[str, Any]] = {
    "WalletImportRequest": {"mnemonic": "x"},
    "WalletUnlockRequest": {"encryptionKey": "x"},
    "WalletKeyRequest": {"encryptionKey": "x", "newEncryptionKey": "x"},
    "AccountRecoveryRequest": {"gapLimit": 1},
    "SendRequest": {"receiverAddress": NOBODY, "amount": 1},
    "ChangeRequest": {"representativeAddress": NOBODY},
    "LabelRequest": {"label": "x"},
}
SCOPES = {
    "post /wallets/{name}": "atto:wallet",
    "put /wallets/{name}/encryptionKey": "atto:wallet",
    "post /wallets/{name}/exports": "atto:export",
    "put /wallets/{name}": "atto:wallet",
    "put /wallets/{name}/locks/LOCKED": "atto:wallet",
    "put /wallets/{name}/locks/UNLOCKED": "atto:wallet",
    "post /wallets/{walletName}/accounts": "atto:account",
    "post /wallets/{walletName}/accounts/ranges/{toIndex}": "atto:account",
    "post /wallets/{walletName}/recoveries": "atto:account",
    "post /wallets/accounts/{address}/states/DISABLED": "atto:account",
    "post /wallets/accounts/{address}/states/ENABLED": "atto:account",
    "put /wallets/accounts/{address}/label": "atto:account",
    "post /wallets/accounts/{address}/transactions/SEND": "atto:send",
    "post /wallets/accounts/{address}/transactions/CHANGE": "atto:change",
}
"""What needs more than atto:read."""


@pytest.fixture
async def guarded(start: Start) -> AsyncIterator[AttoService]:
    """A service that wants a token of everybody."""
    async with start(ATTO_REQUIRE_TOKEN="true") as service:
        yield service


async def as_(service: AttoService, name: str, *scopes: str, expires_at_ms: int | None = None) -> str:
    """From now on the client presents a new token with these scopes; its id."""
    token = await service.ledger.tokens.create(OPERATOR, name, scopes, expires_at_ms)
    service.client.headers["Authorization"] = f"Bearer {token.secret}"
    return token.id


async def operations(service: AttoService) -> dict[str, httpx2.Request]:
    """A request for every operation of the document."""
    document = await service.get("/v3/api-docs")
    values = {
        "toIndex": "1",
        "address": NOBODY,
        "transactionHash": "00" * 32,
        "approvalId": "x",
        "name": "w",
        "walletName": "w",
    }
    requests = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema", {})
            body = BODIES.get(schema.get("$ref", "").rpartition("/")[2])
            url = str(service.client.base_url).rstrip("/") + path.format(**values)
            requests[f"{method} {path}"] = httpx2.Request(method.upper(), url, json=body)
    return requests


async def ask(service: AttoService, request: httpx2.Request) -> httpx2.Response:
    """With the client's token, if it has one."""
    if token := service.client.headers.get("Authorization"):
        request.headers["Authorization"] = token
    return await service.client.send(request)


async def test_without_a_token_nothing_is_answered(guarded: AttoService) -> None:
    for name, request in (await operations(guarded)).items():
        response = await ask(guarded, request)
        assert_refused(response, 401, NEEDED, "unauthenticated")
        assert response.headers["www-authenticate"] == "Bearer", name


async def test_documentation_needs_no_token(guarded: AttoService) -> None:
    for path in ("/", "/v3/api-docs", "/swagger-ui/swagger-ui.css"):
        assert (await guarded.client.get(path)).status_code == 200


async def test_every_operation_wants_its_scope(guarded: AttoService) -> None:
    others = {"atto:read", "atto:wallet", "atto:account", "atto:send", "atto:change", "atto:export"}
    described = await operations(guarded)
    assert set(SCOPES) < set(described)
    for number, (name, request) in enumerate(described.items()):
        scope = SCOPES.get(name, "atto:read")
        caller = f"all-but-{scope}-{number}"
        await as_(guarded, caller, *(others - {scope}))
        words = f"The token of 'token:{caller}' lacks the scope {scope}"
        assert_refused(await ask(guarded, request), 403, words, "forbidden")


async def test_scope_is_enough(guarded: AttoService) -> None:
    for name, request in (await operations(guarded)).items():
        await as_(guarded, f"only-{name}"[:64], SCOPES.get(name, "atto:read"))
        answer = await ask(guarded, request)
        if "/exports" in name:  # that others must approve it is no matter of the token's scopes
            assert (answer.status_code, answer.json()["code"]) == (403, "approval_needed")
        else:
            assert answer.status_code not in {401, 403}, name


@pytest.mark.parametrize("scopes", [("atto:*",), ("*",)])
async def test_wide_scopes_cover_the_others(
    guarded: AttoService, network: AttoNetwork, scopes: tuple[str, ...]
) -> None:
    await as_(guarded, "wide", *scopes)
    address = await guarded.open_account(network, 10)
    entry(await guarded.send(address, NOBODY, 1))


@pytest.mark.parametrize("header", ["Bearer x", "Bearer sr_00_00", "Bearer", "Basic YTpi", "x", ""])
async def test_what_is_no_token_is_refused(guarded: AttoService, header: str) -> None:
    response = await guarded.client.get("/wallets", headers={"Authorization": header})
    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")


async def test_caller_is_looked_at_before_his_request(guarded: AttoService) -> None:
    response = await guarded.client.put(
        "/wallets/x", content="{", headers={"Content-Type": "application/json"}
    )
    assert_refused(response, 401, NEEDED, "unauthenticated")


async def test_token_ends_when_it_was_to_end(guarded: AttoService, network: AttoNetwork) -> None:
    await as_(guarded, "guest", "atto:read", expires_at_ms=network.clock.now_ms() + 60_000)
    assert await guarded.get("/wallets") == []
    network.clock.ahead_ms = 60_000
    response = await guarded.client.get("/wallets")
    assert_refused(response, 401, "The API token has expired", "unauthenticated")


async def test_token_ends_when_it_is_revoked(guarded: AttoService) -> None:
    token_id = await as_(guarded, "guest", "atto:read")
    assert await guarded.get("/wallets") == []
    await guarded.ledger.tokens.revoke(OPERATOR, token_id)
    response = await guarded.client.get("/wallets")
    assert_refused(response, 401, "The API token was revoked", "unauthenticated")


async def test_presented_token_counts_where_none_is_needed(service: AttoService) -> None:
    await as_(service, "reader", "atto:read")
    words = "The token of 'token:reader' lacks the scope atto:wallet"
    assert_refused(await service.client.post("/wallets/x"), 403, words, "forbidden")
    del service.client.headers["Authorization"]
    assert (await service.client.post("/wallets/x")).status_code == 200


async def test_callers_at_the_same_moment_are_not_mistaken_for_each_other(guarded: AttoService) -> None:
    tokens = {
        scope: (await guarded.ledger.tokens.create(OPERATOR, scope, [scope])).secret
        for scope in ("atto:wallet", "atto:read")
    }
    callers = list(tokens) * 12
    answers = await asyncio.gather(
        *(
            guarded.client.post(f"/wallets/{number}", headers={"Authorization": f"Bearer {tokens[scope]}"})
            for number, scope in enumerate(callers)
        )
    )
    assert [answer.status_code for answer in answers] == [200, 403] * 12


async def test_the_audit_trail_has_the_principal_of_each_action(
    guarded: AttoService, network: AttoNetwork
) -> None:
    await as_(guarded, "shop", "atto:*")
    address = await guarded.open_account(network, 10)
    entry(await guarded.send(address, NOBODY, 1))
    columns = tables.audit.c
    rows = await guarded.ledger.database.fetch_all(
        select(columns.principal, columns.action).order_by(columns.sequence)
    )
    assert [tuple(row) for row in rows] == [
        ("system:rows", "rows.bind"),
        ("system:rows", "policy.state"),
        ("system:vault", "vault.bind"),
        ("operator", "token.create"),
        ("token:shop", "wallet.create"),
        ("token:shop", "account.create"),
        ("system:atto-receiver", "sign"),
        ("token:shop", "sign"),
    ]


async def test_a_token_is_for_its_networks_and_its_rate(guarded: AttoService, network: AttoNetwork) -> None:
    tokens = guarded.ledger.tokens
    new = await tokens.create(
        OPERATOR, "branch", ["atto:read"], networks=["192.0.2.0/24"], rate=parse_rate("2/min")
    )
    headers = {"Authorization": f"Bearer {new.secret}"}
    claimed = {**headers, "X-Forwarded-For": "192.0.2.1"}  # no proxy is trusted, so that nobody believes it
    response = await guarded.client.get("/wallets", headers=claimed)
    assert_refused(response, 403, "The token may not be used from this address", "address_not_allowed")
    await tokens.change(OPERATOR, new.id, TokenChange(networks=["127.0.0.0/8"]))
    answers = [await guarded.client.get("/wallets", headers=headers) for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 200, 429]
    assert_refused(answers[2], 429, "More than 2/min requests with this token", "rate_limited")
    assert 1 <= int(answers[2].headers["retry-after"]) <= 30
    network.clock.ahead_ms = 60_000
    await tokens.change(OPERATOR, new.id, TokenChange(rate=None))
    assert (await guarded.client.get("/wallets", headers=headers)).status_code == 200


async def test_replicas_count_a_rate_together(start: Start) -> None:
    async with start(ATTO_REQUIRE_TOKEN="true") as one, start(ATTO_REQUIRE_TOKEN="true") as other:
        new = await one.ledger.tokens.create(OPERATOR, "busy", ["atto:read"], rate=parse_rate("10/h"))
        headers = {"Authorization": f"Bearer {new.secret}"}
        answers = [await each.client.get("/wallets", headers=headers) for each in (one, other) * 8]
        assert [each.status_code for each in answers] == [200] * 10 + [429] * 6
        await other.ledger.tokens.revoke(OPERATOR, new.id)
        for each in (one, other):
            assert (await each.client.get("/wallets", headers=headers)).status_code == 401


async def test_a_token_s_last_use_survives_a_restart(start: Start) -> None:
    async with start(ATTO_REQUIRE_TOKEN="true") as service:
        token_id = await as_(service, "late", "atto:read")
        assert await service.get("/wallets") == []
    async with start(ATTO_REQUIRE_TOKEN="true") as service:
        token = await service.ledger.tokens.find(token_id)
        assert token.used_from == "127.0.0.1"
        assert token.used_at_ms is not None
        assert token.used_at_ms >= token.created_at_ms


async def test_replicas_count_a_rate_in_redis_and_each_alone_without_it(
    start: Start, redis: Redis, database_url: URL
) -> None:
    own = redis.url.replace("/0", "/1" if database_url.get_backend_name() == "sqlite" else "/2")
    variables = {"ATTO_REQUIRE_TOKEN": "true", "REDIS_URL": own}
    async with start(**variables) as one, start(**variables) as other:
        new = await one.ledger.tokens.create(OPERATOR, "busy", ["atto:read"], rate=parse_rate("10/h"))
        headers = {"Authorization": f"Bearer {new.secret}"}

        async def statuses(times: int) -> list[int]:
            return [
                (await each.client.get("/wallets", headers=headers)).status_code
                for each in (one, other) * times
            ]

        assert await statuses(8) == [200] * 10 + [429] * 6
        assert await one.ledger.database.fetch_all(select(tables.rate)) == []
        redis.stop()
        try:
            more = await one.ledger.tokens.create(OPERATOR, "busier", ["atto:read"], rate=parse_rate("10/h"))
            headers = {"Authorization": f"Bearer {more.secret}"}
            assert await statuses(12) == [200] * 20 + [429] * 4
            health = one.health.components()["attoTokens"]
            assert health.status is Status.DEGRADED
        finally:
            redis.start()
