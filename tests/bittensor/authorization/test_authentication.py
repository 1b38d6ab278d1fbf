"""Who is let in: WALLET_SERVICE_TOKEN, issued tokens with their limits, the original's JWTs, and nobody else."""

import base64
from typing import Any

import httpx2
import jwt
import pytest
from sqlalchemy import select

from bittensor.conftest import Start
from strongroom.core.coordination.rates import parse_rate
from strongroom.core.json_decoder import decode_json
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.stored_tokens import TokenChange
from strongroom.core.storage import tables
from support.bittensor_service import BittensorService, bearer, import_validator
from support.clock import START_MS, ManualClock

LOGIN = "1763729464123"
SECRET = "a secret of the operator, long enough for HS256"
UNSIGNED = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
GUARDED = [
    ("POST", "/wallet/sign"),
    ("POST", "/wallet/verify"),
    ("GET", "/wallet/info"),
    ("GET", "/wallet/wallet_info"),
]


async def info(service: BittensorService, authorization: str | None) -> httpx2.Response:
    headers = {} if authorization is None else {"Authorization": authorization}
    request = service.client.build_request("GET", "/wallet/info?wallet_name=validator")
    request.headers.pop("Authorization", None)
    request.headers.update(headers)
    return await service.client.send(request)


@pytest.mark.parametrize("path", ["/", "/health", "/docs", "/openapi.json", "/swagger-ui/swagger-ui.css"])
async def test_some_pages_are_for_everybody(service: BittensorService, path: str) -> None:
    answer = await service.client.get(path, headers={"Authorization": ""})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


async def test_version_and_health_are_the_original_s(service: BittensorService) -> None:
    assert (await service.client.get("/")).json() == {"version": "0.1.0"}
    assert (await service.client.get("/health")).json() == {"status": "ok"}


async def test_every_other_route_is_described_and_asks_for_a_token(service: BittensorService) -> None:
    paths = (await service.client.get("/openapi.json")).json()["paths"]
    for path, operations in paths.items():
        for method in operations:
            somewhere = path.replace("{netuid}", "2")
            answer = await service.client.request(
                method, somewhere, headers={"Authorization": "Bearer nobody"}
            )
            public = path in {"/", "/health", "/api/v1/identities"}
            assert answer.status_code == (200 if public else 401), path
    for method, path in GUARDED:
        assert method.lower() in paths[path]


@pytest.mark.parametrize("authorization", [None, "", "Bearer"])
async def test_no_token_is_401_in_the_original_s_words(
    service: BittensorService, authorization: str | None
) -> None:
    answer = await info(service, authorization)
    assert answer.status_code == 401
    assert answer.json() == {"error": "Missing or invalid token", "code": "token_missing"}
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "token",
    [
        "nobody",
        "default-toke",
        "default-token2",
        "x" * 5000,
        "sr_0123456789abcdef_" + "a" * 52,
        "a.b.c",
        jwt.encode({"exp": START_MS}, SECRET, "HS256"),
        "\xff\xfe",
    ],
)
async def test_a_wrong_token_is_401(service: BittensorService, token: str) -> None:
    presented = {b"Authorization": f"Bearer {token}".encode("latin-1")}
    answer = await service.client.get("/wallet/info?wallet_name=validator", headers=presented)
    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthenticated"


@pytest.mark.parametrize("authorization", ["Bearer default-token", "bearer default-token", "default-token"])
async def test_the_word_bearer_is_optional(service: BittensorService, authorization: str) -> None:
    assert (await info(service, authorization)).status_code == 200


async def test_the_service_token_reaches_the_configured_subnet_alone(start: Start) -> None:
    async with start(netuid="2") as service:
        await import_validator(service)
        assert (await service.sign(LOGIN)).status_code == 200
        assert (await service.sign(LOGIN, message_type="coldkey")).status_code == 403


async def test_on_a_real_network_the_default_token_is_nobody_s(start: Start) -> None:
    async with start(network="finney") as service:
        assert (await info(service, "Bearer default-token")).status_code == 401
        assert (await info(service, "Bearer")).status_code == 401
        token = await service.token()
        assert (await service.client.get("/wallet/info?wallet_name=x", headers=token)).status_code == 404


async def test_an_issued_token_is_held_to_its_limits(service: BittensorService) -> None:
    async def code(message: str = LOGIN, scopes: tuple[str, ...] = ("bittensor:*",), **limits: Any) -> str:
        answer = await service.sign(message, await service.token(scopes, **limits))
        return "" if answer.status_code == 200 else f"{answer.status_code} {answer.json()['code']}"

    assert await code() == ""
    assert await code(wallets=("validator",), hotkeys=("default",)) == ""
    assert await code(scopes=("bittensor:read",)) == "403 forbidden"
    assert await code(wallets=("miner",)) == "403 wallet_not_allowed"
    assert await code(hotkeys=("h",)) == "403 hotkey_not_allowed"
    assert await code(networks=("127.0.0.0/8",)) == ""
    assert await code(networks=("10.0.0.0/8",)) == "403 address_not_allowed"
    assert await code("words") == "400 message_refused"
    assert await code("words", any_text=True) == ""


async def test_a_token_for_another_wallet_does_not_learn_which_there_are(service: BittensorService) -> None:
    headers = await service.token(wallets=("mine",))
    for wallet in ("validator", "nobody"):
        answer = await service.client.get(f"/wallet/info?wallet_name={wallet}", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "wallet_not_allowed")


async def test_where_a_request_comes_from_cannot_be_claimed(start: Start) -> None:
    claim = {"X-Forwarded-For": "10.1.2.3"}
    for proxies, status in (("0", 403), ("1", 200)):
        async with start(BITTENSOR_TRUSTED_PROXIES=proxies) as service:
            await import_validator(service)
            headers = await service.token(networks=("10.0.0.0/8",))
            assert (await service.sign(LOGIN, headers | claim)).status_code == status


async def test_a_use_from_outside_of_the_networks_of_an_earlier_version_is_recorded(
    service: BittensorService,
) -> None:
    """They stand among the token's limits, and not in its own column."""
    refused = await service.sign(LOGIN, await service.token(networks=("10.0.0.0/8",)))
    assert (refused.status_code, refused.json()["code"]) == (403, "address_not_allowed")
    assert (await service.sign(LOGIN, await service.token(wallets=("miner",)))).status_code == 403
    ledger = service.ledger
    await ledger.token_uses.write(everything=True)
    rows = await ledger.database.fetch_all(
        select(tables.audit.c.details).where(tables.audit.c.action == "token.refuse")
    )
    assert [decode_json(row.details) for row in rows] == [{"times": 1, "sources": ["127.0.0.1"]}]


async def test_a_token_is_for_its_networks_and_its_rate(start: Start) -> None:
    clock = ManualClock()
    async with start(clock) as service:
        await import_validator(service)
        tokens = service.ledger.tokens
        new = await tokens.create(
            OPERATOR, "branch", ["bittensor:*"], networks=["192.0.2.0/24"], rate=parse_rate("2/min")
        )
        refused = await service.sign(LOGIN, bearer(new.secret) | {"X-Forwarded-For": "192.0.2.1"})
        assert (refused.status_code, refused.json()["code"]) == (403, "address_not_allowed")
        await tokens.change(OPERATOR, new.id, TokenChange(networks=["127.0.0.0/8"]))
        answers = [await service.sign(LOGIN, bearer(new.secret)) for _ in range(3)]
        assert [each.status_code for each in answers] == [200, 200, 429]
        assert answers[2].json()["code"] == "rate_limited"
        assert answers[2].headers["retry-after"] == "30"


async def test_a_token_ends_when_it_is_revoked_rotated_or_over(start: Start) -> None:
    clock = ManualClock()
    async with start(clock) as service:
        await import_validator(service)
        tokens = service.ledger.tokens
        new = await tokens.create(OPERATOR, "t", ["bittensor:*"], expires_at_ms=START_MS + 60_000)
        assert (await service.sign(LOGIN, bearer(new.secret))).status_code == 200
        other = await tokens.rotate(OPERATOR, new.id)
        assert (await service.sign(LOGIN, bearer(new.secret))).status_code == 401
        assert (await service.sign(LOGIN, bearer(other.secret))).status_code == 200
        clock.advance(61)
        assert (await service.sign(LOGIN, bearer(other.secret))).status_code == 401
        another = await tokens.create(OPERATOR, "t2", ["bittensor:*"])
        await tokens.revoke(OPERATOR, another.id)
        assert (await service.sign(LOGIN, bearer(another.secret))).status_code == 401


async def test_too_many_requests_wait(start: Start) -> None:
    clock = ManualClock()
    async with start(clock, BITTENSOR_REQUESTS_A_MINUTE="3") as service:
        await import_validator(service)
        assert [(await service.sign(LOGIN)).status_code for _ in range(4)] == [200, 200, 200, 429]
        refused = await service.sign(LOGIN)
        assert (refused.json()["code"], refused.headers["retry-after"]) == ("rate_limited", "20")
        own = await service.token(requests_a_minute=60)
        assert (await service.sign(LOGIN, own)).status_code == 200
        clock.advance(20)
        assert (await service.sign(LOGIN)).status_code == 200


class TestJwt:
    """Tokens that the original's manager made."""

    async def status(self, service: BittensorService, token: str) -> tuple[int, str | None]:
        answer = await info(service, f"Bearer {token}")
        return answer.status_code, answer.json().get("code")

    @staticmethod
    def token(secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
        return jwt.encode({"exp": START_MS // 1000 + 60} | claims, secret, algorithm)

    async def test_it_counts_until_its_end(self, start: Start) -> None:
        clock = ManualClock()
        async with start(clock, MANAGER_JWT_SECRET_KEY=SECRET) as service:
            await import_validator(service)
            token = self.token(roles=["node-manage"], sub=7)
            assert await self.status(service, token) == (200, None)
            assert await self.status(service, self.token(nbf=START_MS // 1000, exp=10**400)) == (200, None)
            assert (await service.sign(LOGIN, bearer(token))).status_code == 200
            clock.advance(61)
            assert await self.status(service, token) == (401, "token_expired")

    async def test_a_forged_one_does_not(self, start: Start) -> None:
        async with start(ManualClock(), MANAGER_JWT_SECRET_KEY=SECRET) as service:
            await import_validator(service)
            endless = jwt.encode({"sub": "x"}, SECRET, "HS256")
            forged = [
                endless,
                self.token(secret="another secret that is long enough for HS256"),
                self.token(secret=SECRET * 2, algorithm="HS512"),
                jwt.encode({"exp": START_MS}, None, "none"),  # type: ignore[arg-type]
                self.token()[:-2],
                self.token(exp="tomorrow"),
                self.token(exp=float("nan")),
                self.token(exp=True),
                self.token(nbf=START_MS // 1000 + 1),
                self.token(nbf=float("nan")),
                f"{UNSIGNED}.{self.token().split('.')[1]}.",
                f"{UNSIGNED}.{'.'.join(self.token().split('.')[1:])}",
            ]
            for token in forged:
                assert await self.status(service, token) == (401, "unauthenticated"), token

    async def test_without_the_secret_none_counts(self, service: BittensorService) -> None:
        assert await self.status(service, self.token()) == (401, "unauthenticated")
