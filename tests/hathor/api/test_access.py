"""Who may ask: signatures, tokens and what ends them."""

from typing import Any

import pytest

from strongroom.core.environment import Secret
from strongroom.core.errors import Forbidden, Unauthenticated
from strongroom.core.http.forwarded import parse_proxies
from strongroom.core.storage.database import Database
from strongroom.hathor.wallets.jwt import LIFETIME_S, Mode, Principal, Tokens
from support.clock import ManualClock, SeededEntropy
from support.hathor.api import SIGNED, WALLET_ID, recorded_rows, serving_api
from support.sql import execute

pytestmark = pytest.mark.anyio

RECORDED_MS = 1_700_000_001_000
INIT: dict[str, Any] = SIGNED["auth_init_body_mainnet"]
SIGNED_MS = INIT["timestamp"] * 1000
TOKEN_REQUEST = {
    "ts": INIT["timestamp"],
    "xpub": INIT["authXpubkey"],
    "sign": INIT["authXpubkeySignature"],
    "walletId": WALLET_ID,
}
OWN_AUTH_SIGNATURE = INIT["xpubkeySignature"]


def _tokens(clock: ManualClock, *secrets: str) -> Tokens:
    return Tokens([Secret(secret) for secret in secrets], clock, SeededEntropy())


def _verified(clock: ManualClock, token: str, *secrets: str) -> Principal:
    return _tokens(clock, *secrets).verify(token)


def test_tokens_of_the_original_are_accepted() -> None:
    clock = ManualClock(RECORDED_MS)
    full = _verified(clock, SIGNED["jwt"]["full"]["token"], "foobar")
    address = SIGNED["signed_messages"]["sig_auth_mainnet"]["address"]
    assert full == Principal(wallet_id=WALLET_ID, mode=Mode.FULL, auth_address=address)
    read_only = _verified(clock, SIGNED["jwt"]["readonly"]["token"], "foobar")
    assert read_only == Principal(wallet_id=WALLET_ID, mode=Mode.READ_ONLY, auth_address=None)


def test_a_token_ends_in_time_and_is_bound_to_its_secret() -> None:
    clock = ManualClock(RECORDED_MS)
    token = _tokens(clock, "old").issue_read_only(wallet_id=WALLET_ID, auth_address="x")
    assert _verified(clock, token, "new", "old").wallet_id == WALLET_ID
    for broken in (token + "A", token[:-2], "", "a.b.c", token.replace(".", ""), "é.é.é"):
        with pytest.raises(Unauthenticated):
            _verified(clock, broken, "old")
    with pytest.raises(Unauthenticated):
        _verified(clock, token, "new")
    clock.advance(LIFETIME_S)
    with pytest.raises(Unauthenticated):
        _verified(clock, token, "old")


def test_the_secret_alone_makes_no_full_token() -> None:
    clock = ManualClock(RECORDED_MS)
    address = SIGNED["signed_messages"]["sig_auth_mainnet"]["address"]
    forged = _tokens(clock, "s").issue_full(
        signature=OWN_AUTH_SIGNATURE, timestamp_s=1_700_000_000, address=address, wallet_id=WALLET_ID
    )
    with pytest.raises(Forbidden):
        _verified(clock, forged, "s")


async def test_a_wallet_registers_and_gets_its_token(database: Database) -> None:
    clock = ManualClock(RECORDED_MS)
    async with serving_api(database, clock) as api:
        answer = await api.client.post("/wallet/init", json=INIT)
        status = {
            "walletId": WALLET_ID,
            "xpubkey": INIT["xpubkey"],
            "authXpubkey": INIT["authXpubkey"],
            "status": "creating",
            "retryCount": 0,
            "maxGap": 10,
            "createdAt": RECORDED_MS // 1000,
            "readyAt": None,
            "lastUsedAddressIndex": -1,
            "shieldedMaxGap": 20,
            "lastUsedShieldedIndex": None,
        }
        assert (answer.status_code, answer.json()) == (200, {"success": True, "status": status})
        again = await api.client.post("/wallet/init", json=INIT)
        assert again.status_code == 400
        assert again.json() == {"success": False, "error": "wallet-already-loaded", "status": status}
        token = (await api.client.post("/auth/token", json=TOKEN_REQUEST)).json()["token"]
        headers = {"Authorization": f"Bearer {token}"}
        assert (await api.client.get("/wallet/status", headers=headers)).json()["status"] == status
        waiting = await api.client.get("/wallet/balances", headers=headers)
        assert (waiting.status_code, waiting.json()) == (400, {"success": False, "error": "wallet-not-ready"})


@pytest.mark.parametrize("shift_s", [-31, 30, 3_000])
async def test_a_loaded_wallet_is_answered_as_such_whatever_the_client_s_clock_says(
    database: Database, shift_s: int
) -> None:
    clock = ManualClock(SIGNED_MS + shift_s * 1000)
    shifted = f"The timestamp is shifted {abs(shift_s)}(s). Limit is 30(s)."
    refusal = {"success": False, "error": "invalid-payload", "details": [{"message": shifted}]}
    async with serving_api(database, clock) as api:
        for change in ({}, {"xpubkeySignature": "none"}):
            answer = await api.client.post("/wallet/init", json=INIT | change)
            assert (answer.status_code, answer.json()) == (400, refusal)
    async with serving_api(database, ManualClock(RECORDED_MS)) as api:
        assert (await api.client.post("/wallet/init", json=INIT)).status_code == 200
    async with serving_api(database, clock) as api:
        answer = await api.client.post("/wallet/init", json=INIT)
        assert (answer.status_code, answer.json()["error"]) == (400, "wallet-already-loaded")
        assert answer.json()["status"]["walletId"] == WALLET_ID
        # What is changed by what it signed at another time is not.
        answer = await api.client.put("/wallet/auth", json=INIT)
        assert (answer.status_code, answer.json()) == (400, refusal)
        answer = await api.client.post("/auth/token", json=TOKEN_REQUEST)
        assert (answer.status_code, answer.json()) == (400, refusal | {"error": "invalid-auth-signature"})


async def test_how_far_a_clock_may_be_off_is_a_setting(database: Database) -> None:
    clock = ManualClock(SIGNED_MS + 599_000)
    async with serving_api(database, clock, clock_skew_s=600) as api:
        assert (await api.client.post("/wallet/init", json=INIT)).status_code == 200
        assert (await api.client.post("/auth/token", json=TOKEN_REQUEST)).status_code == 200
        clock.advance(1)
        answer = await api.client.post("/auth/token", json=TOKEN_REQUEST)
        assert answer.json()["details"] == [{"message": "The timestamp is shifted 600(s). Limit is 600(s)."}]


async def test_a_wallet_in_error_loads_again_but_not_for_ever(database: Database) -> None:
    clock = ManualClock(RECORDED_MS)
    async with serving_api(database, clock) as api:
        await api.client.post("/wallet/init", json=INIT)
        sql = "UPDATE wallet SET status = 'error', retry_count = {}"
        await database.write(lambda connection: execute(connection, sql, 4))
        answer = await api.client.post("/wallet/init", json=INIT)
        assert answer.json()["status"]["status"] == "creating"
        await database.write(lambda connection: execute(connection, sql, 5))
        answer = await api.client.post("/wallet/init", json=INIT)
        assert (answer.status_code, answer.json()["error"]) == (400, "wallet-max-retries")


async def test_a_new_authentication_key_ends_earlier_tokens(database: Database) -> None:
    clock = ManualClock(RECORDED_MS)
    async with serving_api(database, clock, rows=recorded_rows()) as api:
        holders = (api.full(), api.read_only())
        for headers in holders:
            assert (await api.client.get("/wallet/status", headers=headers)).status_code == 200
        # The account key itself signs as the new authentication key.
        changed = {
            **INIT,
            "authXpubkey": INIT["xpubkey"],
            "authXpubkeySignature": INIT["xpubkeySignature"],
        }
        forged = {**changed, "authXpubkeySignature": INIT["authXpubkeySignature"]}
        assert (await api.client.put("/wallet/auth", json=forged)).status_code == 403
        answer = await api.client.put("/wallet/auth", json=changed)
        assert answer.json()["status"]["authXpubkey"] == INIT["xpubkey"]
        for headers in holders:
            for path in ("/wallet/status", "/wallet/balances"):
                refused = await api.client.get(path, headers=headers)
                assert (refused.status_code, refused.json()) == (401, {"message": "Unauthorized"})


async def test_what_a_caller_without_rights_gets(database: Database, clock: ManualClock) -> None:
    async with serving_api(database, clock, rows=recorded_rows()) as api:
        nobody = await api.client.get("/wallet/status")
        assert (nobody.status_code, nobody.json()) == (401, {"message": "Unauthorized"})
        assert nobody.headers["access-control-allow-origin"] == "*"
        mine = {"addresses": ["HBCQgVR8Xsyv1BLDjf9NJPK1Hwg4rKUh62", "H" * 34]}
        reader = await api.client.post("/wallet/addresses/check_mine", json=mine, headers=api.read_only())
        assert reader.status_code == 403
        assert reader.json() == {"Message": "User is not authorized to access this resource"}
        owner = await api.client.post("/wallet/addresses/check_mine", json=mine, headers=api.full())
        expected = {"HBCQgVR8Xsyv1BLDjf9NJPK1Hwg4rKUh62": True, "H" * 34: False}
        assert owner.json() == {"success": True, "addresses": expected}
        nowhere = await api.client.get("/nowhere")
        assert (nowhere.status_code, nowhere.json()) == (404, {"success": False, "error": "not-found"})


async def test_one_client_cannot_ask_for_tokens_without_end(database: Database, clock: ManualClock) -> None:
    async with serving_api(database, clock, burst=3) as api:
        body = {"xpubkey": INIT["xpubkey"]}
        answers = [(await api.client.post("/auth/token/readonly", json=body)).status_code for _ in range(5)]
        assert answers == [400, 400, 400, 429, 429]
        refused = await api.client.post("/auth/token/readonly", json=body)
        assert refused.json() == {"success": False, "error": "too-many-requests"}
        assert refused.headers["retry-after"] == "20"
        clock.advance(20)
        assert (await api.client.post("/auth/token/readonly", json=body)).status_code == 400


async def test_clients_behind_a_proxy_are_told_apart(database: Database, clock: ManualClock) -> None:
    async with serving_api(database, clock, burst=1, proxies=parse_proxies("127.0.0.1")) as api:

        async def ask(forwarded: str) -> int:
            headers = {"X-Forwarded-For": forwarded}
            body = {"xpubkey": INIT["xpubkey"]}
            return (await api.client.post("/auth/token/readonly", json=body, headers=headers)).status_code

        assert await ask("203.0.113.1") == 400
        assert await ask("203.0.113.1") == 429
        assert await ask("203.0.113.2") == 400
        assert await ask("198.51.100.9, 203.0.113.2") == 429  # what a client writes itself changes nothing
