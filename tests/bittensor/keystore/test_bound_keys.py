"""Whoever can write the database alone exchanges no keys and brings none back."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from strongroom.bittensor.keystore.names import hotkey
from strongroom.bittensor.keystore.wallets import NewKey
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.core.errors import VaultError
from strongroom.core.runtime.telemetry import Status
from strongroom.core.security.access import OPERATOR
from support.bittensor_service import (
    HOTKEY,
    WALLET,
    BittensorService,
    database_variables,
    import_validator,
    running_bittensor,
)
from support.databases import execute_elsewhere
from support.keys import KEY, OTHER_KEY

pytestmark = pytest.mark.anyio

Sql = Callable[[str], list[list[str]]]
TABLE = "strongroom_bittensor_key"
TOKEN = "a-token-of-the-tests-that-is-long-enough"


@pytest.fixture
def variables(database_url: URL, tmp_path: Path) -> dict[str, str]:
    return database_variables(database_url, tmp_path) | {
        "WALLET_SERVICE_TOKEN": TOKEN,
        "chain_endpoint": "ws://127.0.0.1:9",
    }


@pytest.fixture
def sql(database_url: URL) -> Sql:
    return lambda statements: execute_elsewhere(database_url, statements)


@pytest.fixture
async def service(variables: dict[str, str]) -> AsyncIterator[BittensorService]:
    async with running_bittensor(variables) as service:
        await import_validator(service)
        yield service


async def assert_refuses(service: BittensorService, problem: str) -> None:
    answer = await service.sign(f"{WALLET}:1")
    assert answer.status_code == 503, answer.text
    assert f"Key {WALLET}/{HOTKEY} {problem}" in answer.text
    assert "sealed_row_altered" in answer.text
    health = service.health.components()["bittensorKeys"]
    await service.ledger.key_watch.check()
    health = service.health.components()["bittensorKeys"]
    assert health.status is Status.DEGRADED
    assert f"{WALLET}/{HOTKEY} {problem}" in str(health.detail)


async def test_two_keys_exchanged_sign_nothing(service: BittensorService, sql: Sql) -> None:
    other = Keypair.from_uri("//Strongroom//other")
    new = NewKey(key=hotkey(WALLET, "other"), public_key=other.public_key, keypair=other)
    await service.ledger.wallets.import_(OPERATOR, [new])
    sql(f"UPDATE {TABLE} SET name = 'x' WHERE name = 'other'")  # noqa: S608 - ours
    sql(f"UPDATE {TABLE} SET name = 'other' WHERE name = '{HOTKEY}'")  # noqa: S608 - ours
    sql(f"UPDATE {TABLE} SET name = '{HOTKEY}' WHERE name = 'x'")  # noqa: S608 - ours
    await assert_refuses(service, "was altered in the database")


async def test_an_address_that_was_altered_is_not_told(service: BittensorService, sql: Sql) -> None:
    other = Keypair.from_uri("//Strongroom//other").public_key.hex()
    sql(f"UPDATE {TABLE} SET public_key = X'{other}', sealed_secret = NULL WHERE name = '{HOTKEY}'")  # noqa: S608
    answer = await service.info(hotkey_name=HOTKEY)
    assert answer.status_code == 503, answer.text
    await assert_refuses(service, "was altered in the database")


async def test_a_removed_key_that_is_put_back_signs_nothing(service: BittensorService, sql: Sql) -> None:
    for table in (TABLE, "strongroom_binding"):
        sql(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}")  # noqa: S608 - ours
    await service.ledger.wallets.remove(OPERATOR, hotkey(WALLET, HOTKEY))
    for table, column, name in (
        (TABLE, "name", HOTKEY),
        ("strongroom_binding", "row_name", f"{WALLET}/{HOTKEY}"),
    ):
        sql(f"INSERT INTO {table} SELECT * FROM kept_{table} WHERE {column} = '{name}'")  # noqa: S608 - ours
    await assert_refuses(service, "was replaced in the database by an older version of itself")
    with pytest.raises(VaultError, match="was replaced"):
        await import_validator(service)


async def test_a_row_without_its_tag_signs_nothing(service: BittensorService, sql: Sql) -> None:
    assert (await service.sign(f"{WALLET}:1")).status_code in {200, 400}
    sql("DELETE FROM strongroom_binding")
    await assert_refuses(service, "was not written by this service")


async def test_a_key_that_the_service_removed_can_be_imported_again(service: BittensorService) -> None:
    await service.ledger.wallets.remove(OPERATOR, hotkey(WALLET, HOTKEY))
    await import_validator(service)
    assert (await service.info(hotkey_name=HOTKEY)).status_code == 200
    assert await service.ledger.key_watch.check() == {}


@pytest.mark.parametrize("variable", [None, "BITTENSOR_KEY_ENCRYPTION_KEY"])
async def test_a_service_with_another_key_does_not_start(
    variables: dict[str, str], tmp_path: Path, variable: str | None
) -> None:
    given = {variable: KEY} if variable else {}
    async with running_bittensor(variables | given) as service:
        await import_validator(service)
    origin = variable or str(tmp_path / "bittensor.kek")
    other = {variable: OTHER_KEY} if variable else {}
    if not variable:
        replace_key(tmp_path / "bittensor.kek")
    with pytest.raises(VaultError, match=f"The key in {origin} is not the one that this database was sealed"):
        async with running_bittensor(variables | other):
            pass


def replace_key(path: Path) -> None:
    path.write_text(OTHER_KEY)
