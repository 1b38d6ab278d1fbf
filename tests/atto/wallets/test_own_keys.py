"""A wallet's own key is changed: at once, everywhere, or not at all."""

import asyncio
import secrets
from collections.abc import Callable

import httpx2
import pytest
from sqlalchemy.engine import URL

from atto.conftest import Start
from strongroom.atto.protocol import Mnemonic
from strongroom.atto.wallets.own_keys import Proof
from strongroom.core.errors import InvalidInput, Locked, VaultError
from strongroom.core.security.access import OPERATOR
from support.atto_network import AttoNetwork
from support.atto_service import NOBODY, AttoService, Wallet, assert_refused, entry
from support.databases import execute_elsewhere

pytestmark = pytest.mark.anyio


@pytest.fixture
def sql(database_url: URL) -> Callable[[str], list[list[str]]]:
    return lambda statements: execute_elsewhere(database_url, statements)


async def change(service: AttoService, wallet: Wallet, new_key: str, old_key: str = "") -> httpx2.Response:
    body = {"encryptionKey": old_key or wallet.encryption_key, "newEncryptionKey": new_key}
    return await service.client.put(f"/wallets/{wallet.name}/encryptionKey", json=body)


async def unlock(service: AttoService, wallet: Wallet, key: str) -> httpx2.Response:
    return await service.client.put(f"/wallets/{wallet.name}/locks/UNLOCKED", json={"encryptionKey": key})


async def lock_state(service: AttoService, wallet: Wallet) -> str:
    return str((await service.get(f"/wallets/{wallet.name}"))["lockState"])


async def test_the_new_key_unlocks_and_the_old_one_does_not_on_any_replica(
    start: Start, network: AttoNetwork
) -> None:
    async with start() as one, start() as other:
        wallet, new_key = await one.create_wallet(), secrets.token_hex(32)
        address = await one.open_account(network, 100, wallet)
        assert entry(await other.send(address, NOBODY, 1))["balance"] == 99  # its keys are in the cache there
        answer = await change(one, wallet, new_key)
        assert (answer.status_code, answer.content) == (200, b"")
        words = f"Invalid encryption key for {wallet.name}"
        for service in (other, one):
            assert_refused(
                await unlock(service, wallet, wallet.encryption_key), 400, words, "invalid_encryption_key"
            )
        assert await lock_state(other, wallet) == "UNLOCKED"
        assert entry(await other.send(address, NOBODY, 1))["balance"] == 98
        await other.lock(wallet)
        assert (await unlock(one, wallet, wallet.encryption_key)).status_code == 400
        assert (await unlock(other, wallet, new_key)).status_code == 200
        assert entry(await one.send(address, NOBODY, 1))["balance"] == 97
        rows = await one.get(f"/wallets/{wallet.name}/accounts")
        assert [row["address"] for row in rows] == [address]
        await one.verify_audit()


async def test_a_locked_wallet_stays_locked(service: AttoService) -> None:
    wallet, new_key = await service.create_wallet(), secrets.token_hex(32)
    await service.lock(wallet)
    assert (await change(service, wallet, new_key)).status_code == 200
    assert await lock_state(service, wallet) == "LOCKED"
    assert (await unlock(service, wallet, new_key)).status_code == 200


@pytest.mark.parametrize(
    ("new_key", "message"),
    [
        ("", "newEncryptionKey must be 64 hex digits"),
        ("ab" * 31, "newEncryptionKey must be 64 hex digits"),
        ("zz" * 32, "newEncryptionKey must be 64 hex digits"),
        ("00" * 32, "newEncryptionKey is easy to guess"),
    ],
)
async def test_what_is_no_good_key_is_refused(service: AttoService, new_key: str, message: str) -> None:
    wallet = await service.create_wallet()
    assert_refused(await change(service, wallet, new_key), 400, message, "invalid_encryption_key")
    assert (await unlock(service, wallet, wallet.encryption_key)).status_code == 200


async def test_a_wrong_key_the_same_key_and_no_wallet_are_refused(service: AttoService) -> None:
    wallet, new_key = await service.create_wallet(), secrets.token_hex(32)
    words = f"Invalid encryption key for {wallet.name}"
    assert_refused(
        await change(service, wallet, new_key, secrets.token_hex(32)), 400, words, "invalid_encryption_key"
    )
    words = "newEncryptionKey is the wallet's key already"
    same = wallet.encryption_key.lower()
    assert_refused(await change(service, wallet, same), 400, words, "invalid_encryption_key")
    nowhere = Wallet(name="nowhere", mnemonic="", encryption_key="00" * 32)
    assert_refused(
        await change(service, nowhere, new_key), 404, "Wallet with nowhere not found", "wallet_not_found"
    )
    assert (await unlock(service, wallet, new_key)).status_code == 400
    assert (await unlock(service, wallet, wallet.encryption_key)).status_code == 200


async def test_the_mnemonic_shows_whose_a_wallet_is(service: AttoService) -> None:
    wallet, other = await service.create_wallet(), await service.create_wallet()
    own_keys = service.ledger.use_cases.services.own_keys
    right = Proof(mnemonic=Mnemonic.parse(wallet.mnemonic))
    wrong = Proof(mnemonic=Mnemonic.parse(other.mnemonic))
    first, second = secrets.token_hex(32), secrets.token_hex(32)
    with pytest.raises(InvalidInput, match="not the mnemonic of"):
        await own_keys.change(OPERATOR, wallet.name, wrong, first)
    await own_keys.change(OPERATOR, wallet.name, right, first)
    await service.lock(wallet)
    with pytest.raises(InvalidInput, match="has no account") as raised:
        await own_keys.change(OPERATOR, wallet.name, right, second)
    assert raised.value.instance_code == "mnemonic_unproven"
    assert (await unlock(service, wallet, first)).status_code == 200
    await service.create_account(wallet)
    await service.lock(wallet)
    with pytest.raises(InvalidInput, match="not the mnemonic of"):
        await own_keys.change(OPERATOR, wallet.name, wrong, second)
    await own_keys.change(OPERATOR, wallet.name, right, second)
    assert (await unlock(service, wallet, first)).status_code == 400
    assert (await unlock(service, wallet, second)).status_code == 200


async def test_an_operator_changes_the_key_of_an_unlocked_wallet_alone(service: AttoService) -> None:
    wallet, new_key = await service.create_wallet(), secrets.token_hex(32)
    own_keys = service.ledger.use_cases.services.own_keys
    await service.lock(wallet)
    with pytest.raises(Locked):
        await own_keys.change(OPERATOR, wallet.name, Proof(), new_key)
    await service.unlock(wallet)
    await own_keys.change(OPERATOR, wallet.name, Proof(), new_key)
    await service.lock(wallet)
    assert (await unlock(service, wallet, wallet.encryption_key)).status_code == 400
    assert (await unlock(service, wallet, new_key)).status_code == 200


async def test_the_row_from_before_put_back_opens_nothing(
    service: AttoService, network: AttoNetwork, sql: Callable[[str], list[list[str]]]
) -> None:
    wallet, new_key = await service.create_wallet(), secrets.token_hex(32)
    address = await service.open_account(network, 100, wallet)
    for table in ("wallet", "strongroom_binding"):
        sql(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}")  # noqa: S608 - ours
    assert (await change(service, wallet, new_key)).status_code == 200
    for column in ("encrypted_entropy", "encrypted_encryption_key"):
        before = f"SELECT {column} FROM kept_wallet WHERE kept_wallet.name = wallet.name"  # noqa: S608 - ours
        sql(f"UPDATE wallet SET {column} = ({before})")  # noqa: S608 - ours
    for _ in range(2):
        answer = await unlock(service, wallet, wallet.encryption_key)
        assert (answer.status_code, answer.json()["code"]) == (503, "sealed_row_altered")
        refused = await service.send(address, NOBODY, 1)
        assert (refused.status_code, refused.json()["code"]) == (503, "sealed_row_altered")
        sql(
            "DELETE FROM strongroom_binding; INSERT INTO strongroom_binding SELECT * FROM kept_strongroom_binding"
        )
    own_keys = service.ledger.use_cases.services.own_keys
    with pytest.raises(VaultError):
        await own_keys.change(OPERATOR, wallet.name, Proof(), secrets.token_hex(32))


async def test_changes_race_with_payments_locks_and_unlocks(start: Start, network: AttoNetwork) -> None:
    """Whatever comes first: one key opens the wallet afterwards, it is one that was given, and no payment is lost."""
    async with start() as one, start() as other:
        wallet = await one.create_wallet()
        address = await one.open_account(network, 100, wallet)
        key, sent = wallet.encryption_key, 0
        for round_ in range(4):
            keys = [secrets.token_hex(32) for _ in range(2)]
            answers = await asyncio.gather(
                change(one, wallet, keys[0], key),
                change(other, wallet, keys[1], key),
                other.send(address, NOBODY, 1),
                unlock(other, wallet, key),
                *([one.client.put(f"/wallets/{wallet.name}/locks/LOCKED")] if round_ % 2 else []),
            )
            changed = [answer.status_code for answer in answers[:2]]
            assert changed.count(200) == 1, [answer.text for answer in answers[:2]]
            assert answers[2].status_code == 200 or answers[2].json()["code"] == "wallet_locked"
            assert answers[3].status_code in {200, 400, 409}
            sent += answers[2].status_code == 200
            assert (
                await unlock(one, wallet, keys[changed.index(400 if 400 in changed else 409)])
            ).status_code == 400
            key = keys[changed.index(200)]
            assert (await unlock(other, wallet, key)).status_code == 200
        details = await one.until_balance(address, 100 - sent)
        assert details["height"] == 1 + sent
        await one.verify_audit()
