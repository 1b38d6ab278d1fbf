"""A service with a wrong or lost key-encryption key does not start; one whose key goes wrong says so."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from atto.conftest import Start
from strongroom.atto.definition import REVISIONS
from strongroom.atto.wallets.holdings import WalletHoldings
from strongroom.core.errors import VaultError
from strongroom.core.runtime.telemetry import ComponentHealth, Status
from strongroom.core.security.audit import Audit
from strongroom.core.security.custody.keeping import Keeping
from strongroom.core.security.custody.opening import open_ring
from strongroom.core.security.holdings import bind_holdings
from strongroom.core.security.keys.ring import KeyRing
from strongroom.core.security.keys.source import KeySource
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import migrate
from support.atto_service import AttoService, Wallet, assert_refused
from support.clock import ManualClock, SeededEntropy
from support.databases import execute_elsewhere
from support.keys import KEY, OTHER_KEY
from support.trail import open_trail

pytestmark = pytest.mark.anyio

Sql = Callable[[str], list[list[str]]]

ALTERED = f"X'{bytes(60).hex()}'"


@pytest.fixture
def sql(database_url: URL) -> Sql:
    return lambda statements: execute_elsewhere(database_url, statements)


class KeyFile:
    """The installation's own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def exists(self) -> bool:
        return self.path.exists()

    def read(self) -> str:
        return self.path.read_text()

    def write(self, text: str, mode: int = 0o600) -> None:
        self.path.touch()
        self.path.chmod(mode)
        self.path.write_text(text)

    def remove(self) -> None:
        self.path.unlink()


@pytest.fixture
def key_file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "atto.kek")


async def make_wallet(start: Start, *, locked: bool = False, **variables: str) -> Wallet:
    async with start(**variables) as service:
        wallet = await service.create_wallet()
        if locked:
            await service.lock(wallet)
        return wallet


async def assert_does_not_start(start: Start, words: str, **variables: str) -> None:
    with pytest.raises(VaultError, match=words):
        async with start(**variables):
            pass


async def assert_works(start: Start, wallet: Wallet, **variables: str) -> None:
    async with start(**variables) as service:
        await service.create_account(wallet)


def keys_health(service: AttoService) -> ComponentHealth:
    return service.health.components()["attoKeys"]


@pytest.mark.parametrize("locked", [False, True])
async def test_another_key_in_the_variable_is_refused(start: Start, locked: bool) -> None:
    """Also where every wallet is locked: what is unlocked meanwhile would be sealed under it."""
    wallet = await make_wallet(start, locked=locked, CHA_CHA20_KEY_ENCRYPTION_KEY=KEY)
    words = "The key in CHA_CHA20_KEY_ENCRYPTION_KEY is not the one that this database was"
    await assert_does_not_start(start, words, CHA_CHA20_KEY_ENCRYPTION_KEY=OTHER_KEY)
    async with start(CHA_CHA20_KEY_ENCRYPTION_KEY=KEY) as service:
        if locked:
            await service.unlock(wallet)
        await service.create_account(wallet)


@pytest.mark.parametrize("locked", [False, True])
async def test_a_lost_key_file_is_not_replaced(start: Start, key_file: KeyFile, locked: bool) -> None:
    wallet = await make_wallet(start, locked=locked)
    key = key_file.read()
    key_file.remove()
    await assert_does_not_start(start, f"{key_file} does not exist")
    assert not key_file.exists()
    key_file.write("")
    await assert_does_not_start(start, f"{key_file}: the file is empty")
    key_file.write(OTHER_KEY)
    await assert_does_not_start(start, f"The key in {key_file} is not the one")
    key_file.write(key, 0o644)
    await assert_does_not_start(start, f"{key_file}: other users may read it")
    key_file.write(key)
    async with start() as service:
        if locked:
            await service.unlock(wallet)
        await service.create_account(wallet)


async def test_the_file_is_named_that_a_variable_names(start: Start, tmp_path: Path) -> None:
    await make_wallet(start, CHA_CHA20_KEY_ENCRYPTION_KEY=KEY)
    path = tmp_path / "kek"
    KeyFile(path).write(OTHER_KEY)
    words = rf"The key in CHA_CHA20_KEY_ENCRYPTION_KEY_FILE \({path}\) is not the one"
    await assert_does_not_start(start, words, CHA_CHA20_KEY_ENCRYPTION_KEY_FILE=str(path))


async def test_a_wallet_that_does_not_open_is_named_and_the_others_work(start: Start, sql: Sql) -> None:
    async with start() as service:
        good, bad = await service.create_wallet(), await service.create_wallet()
        sql(f"UPDATE wallet SET encrypted_encryption_key = {ALTERED} WHERE name = '{bad.name}'")  # noqa: S608
    async with start() as service:
        health = keys_health(service)
        assert (health.status, health.detail) == (
            Status.DEGRADED,
            f"{bad.name} does not open with this key-encryption key",
        )
        await service.create_account(good)
        response = await service.client.post(f"/wallets/{bad.name}/accounts")
        words = f"Wallet {bad.name} was altered in the database"
        assert_refused(response, 503, words, "sealed_row_altered")


async def test_a_database_of_an_earlier_version_is_bound_but_for_what_does_not_open(
    start: Start, sql: Sql
) -> None:
    async with start() as service:
        good, bad = await service.create_wallet(), await service.create_wallet()
    sql(f"UPDATE wallet SET encrypted_encryption_key = {ALTERED} WHERE name = '{bad.name}'")  # noqa: S608
    # As the version before this one left it.
    sql("DELETE FROM strongroom_binding; UPDATE strongroom_binding_state SET key_check = NULL")
    sql("DELETE FROM strongroom_audit WHERE action = 'vault.bind'")
    async with start() as service:
        assert sql("SELECT row_name FROM strongroom_binding") == [[good.name]]
        bound = "SELECT details FROM strongroom_audit WHERE action = 'vault.bind'"
        assert sql(bound) == [[f'{{"bound":1,"refused":["{bad.name}"]}}']]
        assert keys_health(service).status is Status.DEGRADED
        await service.create_account(good)
        response = await service.client.post(f"/wallets/{bad.name}/accounts")
        words = f"Wallet {bad.name} was not written by this service"
        assert_refused(response, 503, words, "sealed_row_altered")


async def test_a_key_file_that_goes_away_is_seen_while_it_can_be_saved(
    start: Start, key_file: KeyFile
) -> None:
    async with start() as service:
        assert keys_health(service).status is Status.UP
        key = key_file.read()
        key_file.remove()
        await service.ledger.key_watch.check()
        health = keys_health(service)
        assert (health.status, health.detail) == (
            Status.DEGRADED,
            f"{key_file} is missing: put it back before this process ends",
        )
        key_file.write(key)
        await service.ledger.key_watch.check()
        assert keys_health(service).status is Status.UP


async def test_a_wallet_that_another_process_sealed_otherwise_is_seen(start: Start, sql: Sql) -> None:
    async with start() as service:
        wallet = await service.create_wallet()
        sql("UPDATE wallet SET encrypted_encryption_key = NULL")
        assert set(await service.ledger.key_watch.check()) == {wallet.name}
        health = keys_health(service)
        assert (health.status, health.detail) == (
            Status.DEGRADED,
            f"{wallet.name} was altered in the database",
        )


async def test_two_first_starts_with_keys_of_their_own_do_not_both_go_on(
    database_url: URL, clock: ManualClock, entropy: SeededEntropy, tmp_path: Path
) -> None:
    """Replicas on one new database whose data folders are not shared."""
    database = Database(database_url)
    await migrate(database, [REVISIONS])
    holdings = WalletHoldings()

    async def start(name: str) -> bytes:
        file, ring = tmp_path / name, KeyRing()
        source = KeySource(
            ledger="atto", variable="CHA_CHA20_KEY_ENCRYPTION_KEY", origin=str(file), given=None, file=file
        )
        keeping = Keeping(source=source, holdings=holdings, database=database, clock=clock, entropy=entropy)
        await open_ring(ring, keeping)
        await bind_holdings(database, holdings, ring, Audit(clock, open_trail()))
        return ring.current.check()

    found = await asyncio.gather(start("one"), start("other"), return_exceptions=True)
    opened = [one for one in found if isinstance(one, bytes)]
    refused = [one for one in found if isinstance(one, VaultError)]
    assert (len(opened), len(refused)) == (1, 1)
    again = [name for name in ("one", "other") if (tmp_path / name).exists()]
    kept = []
    for name in again:
        with contextlib.suppress(VaultError):
            kept.append(await start(name))
    assert kept == opened
    await database.close()
