"""With access to the database alone, an attacker can neither open nor exchange wallets."""

import json
from collections.abc import Callable

import pytest
from sqlalchemy.engine import URL

from atto.conftest import Start
from strongroom.core.runtime.telemetry import Status
from support.atto_network import AttoNetwork
from support.atto_service import NOBODY, AttoService, Wallet, assert_refused, entry
from support.databases import execute_elsewhere
from support.waiting import eventually

pytestmark = pytest.mark.anyio

Sql = Callable[[str], list[list[str]]]
TABLES = ("wallet", "strongroom_binding", "strongroom_binding_state")


@pytest.fixture
def sql(database_url: URL) -> Sql:
    return lambda statements: execute_elsewhere(database_url, statements)


async def assert_refuses(service: AttoService, address: str, wallet: Wallet, problem: str) -> None:
    """Nothing is signed, no account is made, and health, log and audit trail say so."""
    words = f"Wallet {wallet.name} {problem}"
    assert_refused(await service.send(address, NOBODY, 1), 503, words, "sealed_row_altered")
    response = await service.client.post(f"/wallets/{wallet.name}/accounts")
    assert_refused(response, 503, words, "sealed_row_altered")
    response = await service.client.post(f"/wallets/{wallet.name}/accounts/ranges/3")
    assert_refused(response, 503, words, "sealed_row_altered")

    def told() -> bool:
        health = service.health.components()["attoKeys"]
        return health.status is Status.DEGRADED and f"{wallet.name} {problem}" in (health.detail or "")

    await eventually(told)


async def assert_audited(sql: Sql, wallet: Wallet, problem: str) -> None:
    query = (
        f"SELECT details FROM strongroom_audit WHERE action = 'vault.refuse' AND subject = '{wallet.name}'"  # noqa: S608
    )
    await eventually(lambda: json.dumps({"why": problem}, separators=(",", ":")) in str(sql(query)))


async def test_an_old_blob_put_back_unlocks_nothing(
    service: AttoService, network: AttoNetwork, sql: Sql
) -> None:
    wallet = await service.create_wallet()
    address = await service.open_account(network, 100, wallet)
    sql("CREATE TABLE kept AS SELECT name, encrypted_encryption_key AS blob_ FROM wallet")
    await service.lock(wallet)
    sql("UPDATE wallet SET encrypted_encryption_key = (SELECT blob_ FROM kept WHERE kept.name = wallet.name)")
    problem = "was altered in the database"
    await assert_refuses(service, address, wallet, problem)
    await assert_audited(sql, wallet, problem)
    response = await service.client.put(
        f"/wallets/{wallet.name}/locks/UNLOCKED", json={"encryptionKey": wallet.encryption_key}
    )
    assert_refused(response, 503, f"Wallet {wallet.name} {problem}", "sealed_row_altered")
    await service.lock(wallet)  # then it is again as it was left
    await service.unlock(wallet)
    assert entry(await service.send(address, NOBODY, 1))["balance"] == 99


async def test_a_lock_does_not_make_good_what_was_altered(service: AttoService, sql: Sql) -> None:
    mine, yours = await service.create_wallet(), await service.create_wallet()
    sql("CREATE TABLE kept AS SELECT * FROM wallet")
    other = f"SELECT encrypted_entropy FROM kept WHERE name = '{yours.name}'"  # noqa: S608 - ours
    sql(f"UPDATE wallet SET encrypted_entropy = ({other}) WHERE name = '{mine.name}'")  # noqa: S608 - ours
    await service.lock(mine)
    for key in (mine.encryption_key, yours.encryption_key):
        response = await service.client.put(
            f"/wallets/{mine.name}/locks/UNLOCKED", json={"encryptionKey": key}
        )
        assert response.status_code in {400, 503}, response.text
    assert (await service.get(f"/wallets/{mine.name}"))["lockState"] == "LOCKED"


async def test_an_old_blob_put_back_with_all_that_belongs_to_it_unlocks_nothing(
    service: AttoService, network: AttoNetwork, sql: Sql
) -> None:
    wallet = await service.create_wallet()
    address = await service.open_account(network, 100, wallet)
    for table in TABLES:
        sql(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}")  # noqa: S608 - ours
    await service.lock(wallet)
    blob = "SELECT encrypted_encryption_key FROM kept_wallet WHERE kept_wallet.name = wallet.name"
    sql(f"UPDATE wallet SET encrypted_encryption_key = ({blob})")  # noqa: S608 - ours
    sql(
        "DELETE FROM strongroom_binding; INSERT INTO strongroom_binding SELECT * FROM kept_strongroom_binding"
    )
    await assert_refuses(
        service, address, wallet, "was replaced in the database by an older version of itself"
    )


async def test_the_blobs_of_two_wallets_exchanged_open_neither(
    service: AttoService, network: AttoNetwork, sql: Sql
) -> None:
    mine, yours = await service.create_wallet(), await service.create_wallet()
    addresses = [await service.open_account(network, 100, wallet) for wallet in (mine, yours)]
    sql("CREATE TABLE kept AS SELECT * FROM wallet")
    for column in ("encrypted_entropy", "encrypted_encryption_key"):
        other = f"SELECT kept.{column} FROM kept WHERE kept.name <> wallet.name"  # noqa: S608 - ours
        sql(f"UPDATE wallet SET {column} = ({other})")  # noqa: S608 - ours
    for wallet, address in zip((mine, yours), addresses, strict=True):
        await assert_refuses(service, address, wallet, "was altered in the database")


async def test_wallets_without_accounts_are_not_exchanged_either(service: AttoService, sql: Sql) -> None:
    """Only the tag shows whose mnemonic it is."""
    mine, _ = await service.create_wallet(), await service.create_wallet()
    sql("CREATE TABLE kept AS SELECT * FROM wallet")
    for column in ("encrypted_entropy", "encrypted_encryption_key"):
        sql(
            f"UPDATE wallet SET {column} = (SELECT kept.{column} FROM kept WHERE kept.name <> wallet.name)"  # noqa: S608
        )
    response = await service.client.post(f"/wallets/{mine.name}/accounts")
    words = f"Wallet {mine.name} was altered in the database"
    assert_refused(response, 503, words, "sealed_row_altered")


@pytest.mark.parametrize("reset", ["", "; UPDATE strongroom_binding_state SET key_check = NULL"])
async def test_tags_that_are_taken_away_are_not_made_again(
    start: Start, network: AttoNetwork, sql: Sql, reset: str
) -> None:
    async with start() as service:
        wallet = await service.create_wallet()
        address = await service.open_account(network, 100, wallet)
        sql(f"DELETE FROM strongroom_binding{reset}")  # noqa: S608 - ours
        await assert_refuses(service, address, wallet, "was not written by this service")
    if not reset:
        async with start() as service:
            await assert_refuses(service, address, wallet, "was not written by this service")
        return
    with pytest.raises(Exception, match="was bound to its key-encryption key before"):
        async with start():
            pass


async def test_a_record_of_the_key_that_is_taken_away_is_missed(start: Start, sql: Sql) -> None:
    async with start() as service:
        await service.create_wallet()
    sql("DELETE FROM strongroom_binding; DELETE FROM strongroom_binding_state")
    with pytest.raises(Exception, match=r"strongroom_binding_state. is missing"):
        async with start():
            pass


async def test_what_is_opened_already_is_looked_at_again(
    service: AttoService, network: AttoNetwork, sql: Sql
) -> None:
    """The seed lies in memory from the send before."""
    wallet = await service.create_wallet()
    address = await service.open_account(network, 100, wallet)
    assert entry(await service.send(address, NOBODY, 1))["balance"] == 99
    sql("UPDATE strongroom_binding SET sequence = sequence + 1")
    await assert_refuses(service, address, wallet, "was altered in the database")


async def test_an_account_of_another_key_signs_nothing(
    service: AttoService, network: AttoNetwork, sql: Sql
) -> None:
    wallet = await service.create_wallet()
    address = await service.open_account(network, 100, wallet)
    sql("UPDATE strongroom_atto_account SET account_index = 7")
    words = "Persisted account index 7 does not match wallet mnemonic"
    assert_refused(await service.send(address, NOBODY, 1), 409, words, "index_mismatch")
    sql("UPDATE strongroom_atto_account SET account_index = 0; UPDATE account SET account_index = 7")
    words = "Persisted account index 7 does not match wallet mnemonic"
    response = await service.client.post(f"/wallets/{wallet.name}/accounts")
    assert_refused(response, 409, words, "index_mismatch")
    assert entry(await service.send(address, NOBODY, 1))["balance"] == 99
