"""Who tries wrong keys on a wallet is slowed down, on every replica and over restarts, and holds the owner off from nothing."""

import asyncio
import json
import secrets

import httpx2
import pytest
from sqlalchemy.engine import URL

from atto.conftest import Start
from strongroom.core.coordination.guesses import ALL, OWN
from strongroom.core.security.access import OPERATOR
from support.atto_network import AttoNetwork
from support.atto_service import AttoService, Wallet
from support.databases import execute_elsewhere

pytestmark = pytest.mark.anyio
LONG = OWN.free + 9


async def try_key(
    service: AttoService, wallet: Wallet, key: str | None = None, token: str | None = None
) -> httpx2.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    body = {"encryptionKey": key or secrets.token_hex(32)}
    return await service.client.put(f"/wallets/{wallet.name}/locks/UNLOCKED", json=body, headers=headers)


async def token(service: AttoService, name: str) -> str:
    issued = await service.ledger.tokens.create(OPERATOR, name, ["atto:wallet", "atto:read"])
    return issued.secret


def assert_slowed(response: httpx2.Response) -> None:
    body = response.json()
    assert (response.status_code, body["code"]) == (429, "too_many_attempts"), response.text
    assert 0 < int(response.headers["Retry-After"]) <= OWN.longest_ms / 1000
    assert body["status"] == 429
    assert f"Try again in {response.headers['Retry-After']} s" in body["message"]


async def guess(service: AttoService, network: AttoNetwork, wallet: Wallet, token: str | None = None) -> None:
    """One wrong key, after every pause."""
    network.clock.ahead_ms += OWN.longest_ms
    response = await try_key(service, wallet, token=token)
    assert (response.status_code, response.json()["code"]) == (400, "invalid_encryption_key")


async def guess_on(service: AttoService, network: AttoNetwork, wallet: Wallet) -> None:
    """Until the pause is minutes long, and no slow machine is taken for one."""
    for _ in range(LONG):
        await guess(service, network, wallet)


async def test_wrong_keys_cost_a_pause_and_the_right_key_works_after_it(
    start: Start, network: AttoNetwork, database_url: URL
) -> None:
    async with start() as service:
        wallet = await service.create_wallet()
        await service.lock(wallet)
        await guess_on(service, network, wallet)
        assert_slowed(await try_key(service, wallet, wallet.encryption_key))
        assert (await service.get(f"/wallets/{wallet.name}"))["lockState"] == "LOCKED"
    async with start() as service:  # the count survives a restart
        assert_slowed(await try_key(service, wallet, wallet.encryption_key))
        network.clock.ahead_ms += OWN.longest_ms
        await service.unlock(wallet)
        for _ in range(OWN.free):  # it begins anew
            assert (await try_key(service, wallet)).status_code == 400
        await service.unlock(wallet)
        await service.verify_audit()
    query = f"SELECT principal, details FROM strongroom_audit WHERE action = 'wallet.guess' AND subject = '{wallet.name}'"  # noqa: S608
    told = execute_elsewhere(database_url, query)
    assert [(who, json.loads(details)) for who, details in told] == [
        ("anonymous", {"by": "anonymous@127.0.0.1", "wrong": OWN.free + 1, "source": "127.0.0.1"})
    ]


async def test_replicas_count_together_also_those_who_try_at_once(start: Start, network: AttoNetwork) -> None:
    async with start() as one, start() as other:
        wallet = await one.create_wallet()
        await one.lock(wallet)
        await guess_on(one, network, wallet)
        network.clock.ahead_ms += OWN.longest_ms
        answers = await asyncio.gather(
            *(try_key(one if number % 2 else other, wallet) for number in range(24))
        )
        codes = [answer.json()["code"] for answer in answers]
        assert sorted(codes) == ["invalid_encryption_key"] + ["too_many_attempts"] * 23
        for service in (one, other):
            assert_slowed(await try_key(service, wallet, wallet.encryption_key))


async def test_a_guesser_with_many_tokens_holds_no_owner_off(start: Start, network: AttoNetwork) -> None:
    async with start() as service:
        owner, stranger = await token(service, "owner"), await token(service, "stranger")
        wallet = await service.create_wallet()
        await service.lock(wallet)
        assert (await try_key(service, wallet, wallet.encryption_key, owner)).status_code == 200
        await service.lock(wallet)
        tokens = [await token(service, f"mallory-{number}") for number in range(7)]
        for number in range(ALL.free + 8):
            network.clock.ahead_ms += ALL.longest_ms if number >= ALL.free else 0
            response = await try_key(service, wallet, token=tokens[number % len(tokens)])
            assert response.json()["code"] == "invalid_encryption_key"
        assert_slowed(await try_key(service, wallet, wallet.encryption_key, stranger))
        assert (await try_key(service, wallet, wallet.encryption_key, owner)).status_code == 200
        network.clock.ahead_ms += ALL.longest_ms
        assert (await try_key(service, wallet, wallet.encryption_key, stranger)).status_code == 200


async def test_a_guesser_is_slowed_where_a_key_is_changed_too(
    service: AttoService, network: AttoNetwork
) -> None:
    wallet = await service.create_wallet()
    path = f"/wallets/{wallet.name}/encryptionKey"
    for _ in range(LONG):
        network.clock.ahead_ms += OWN.longest_ms
        body = {"encryptionKey": secrets.token_hex(32), "newEncryptionKey": secrets.token_hex(32)}
        assert (await service.client.put(path, json=body)).json()["code"] == "invalid_encryption_key"
    body = {"encryptionKey": wallet.encryption_key, "newEncryptionKey": secrets.token_hex(32)}
    assert_slowed(await service.client.put(path, json=body))
    assert_slowed(await try_key(service, wallet, wallet.encryption_key))


async def test_a_guess_at_a_wallet_that_is_not_there_leaves_no_row(
    service: AttoService, database_url: URL
) -> None:
    nobody = Wallet(name="nobody", mnemonic="", encryption_key="")
    for _ in range(OWN.free + 3):
        assert (await try_key(service, nobody)).status_code == 404
    assert execute_elsewhere(database_url, "SELECT COUNT(*) FROM strongroom_guess") == [["0"]]
