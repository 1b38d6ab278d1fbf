"""The original's MySQL database is taken over where it stands: wallets, accounts, callbacks; and can go back."""

import asyncio
import getpass
import gzip
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from commands.conftest import Ended, run
from strongroom.atto.protocol import AccountKeys, Address, Mnemonic
from strongroom.core.environment import SettingsError
from strongroom.core.errors import VaultError
from strongroom.core.runtime.telemetry import Status
from support.adopted import look
from support.atto_account import AttoAccount
from support.atto_network import AttoNetwork, running_network
from support.atto_service import (
    NOBODY,
    AttoService,
    Wallet,
    assert_refused,
    database_variables,
    entry,
    running_service,
    until,
)
from support.callback_listener import CallbackListener, listening
from support.databases import execute_elsewhere
from support.keys import KEY
from support.mariadb import MariaDB
from support.original_database import OriginalAccount, at_rest, write_original
from support.waiting import eventually

pytestmark = pytest.mark.anyio
KEYS = AccountKeys(Mnemonic.from_entropy(bytes.fromhex(at_rest()["entropy33"])).seed())
TREASURY = Wallet(
    name="Treasury",
    mnemonic=Mnemonic.from_entropy(bytes.fromhex(at_rest()["entropy33"])).phrase,
    encryption_key=at_rest()["encryptionKey"],
)
ORIGINAL_ROWS = (
    "SELECT name, version, HEX(encrypted_entropy), HEX(encrypted_encryption_key) FROM wallet;"
    "SELECT address, version, account_index, wallet_name, disabled_at FROM account ORDER BY account_index;"
    "SELECT * FROM flyway_schema_history"
)


def account(index: int) -> AttoAccount:
    return AttoAccount(KEYS.private_key(index))


def address_of(index: int) -> str:
    return account(index).address.path


class Adoption:
    """A database of the original, and the network that its accounts live on."""

    def __init__(self, network: AttoNetwork, server: MariaDB, folder: Path) -> None:
        self.network = network
        self.url = server.new_database()
        self._folder = folder

    async def use(self, index: int, blocks: int) -> None:
        """The account as the original has opened and used it: 100 raw, then sends of 1 raw."""
        holder = account(index)
        chain = self.network.sandbox.chain
        await self.network.fund(holder.address.path, 100)
        (receivable,) = chain.receivables([holder.public_key], 1)
        await self.network.publish(holder.open(receivable))
        for _ in range(blocks - 1):
            state = chain.account(holder.public_key)
            assert state is not None
            await self.network.publish(holder.send(state, Address.parse(NOBODY), 1))

    def start(self, **variables: str) -> AbstractAsyncContextManager[AttoService]:
        """Our service on the original's database, with the original's key-encryption key."""
        return running_service(self.network, self.variables() | variables)

    def variables(self) -> dict[str, str]:
        key = {"CHA_CHA20_KEY_ENCRYPTION_KEY": at_rest()["kek"], "STRONGROOM_ALLOW_WEAK_KEYS": "atto"}
        return database_variables(self.url, self._folder) | key

    def rows(self, statements: str) -> list[list[str]]:
        return execute_elsewhere(self.url, statements)


@pytest.fixture
async def adoption(mariadb: MariaDB, tmp_path: Path) -> AsyncIterator[Adoption]:
    async with running_network() as network:
        yield Adoption(network, mariadb, tmp_path)


@pytest.fixture
async def listener() -> AsyncIterator[CallbackListener]:
    async with listening() as listener:
        yield listener


async def test_wallet_is_unlocked_and_its_accounts_work(adoption: Adoption) -> None:
    await adoption.use(0, 3)
    accounts = [
        OriginalAccount(address=address_of(0), index=0),
        OriginalAccount(address=address_of(1), index=1, version=2),
        OriginalAccount(address=address_of(2), index=2, disabled_at="2025-03-04 05:06:07.089012"),
    ]
    write_original(adoption.url, accounts)
    before = adoption.rows(ORIGINAL_ROWS)
    async with adoption.start() as service:
        assert await service.get("/wallets") == [{"name": "Treasury", "lockState": "UNLOCKED"}]
        rows = await service.get("/wallets/Treasury/accounts")
        assert [(row["address"], row["version"], row["disabledAt"]) for row in rows] == [
            (address_of(0), 0, None),
            (address_of(1), 2, None),
            (address_of(2), 0, "2025-03-04T05:06:07.089012Z"),
        ]
        assert adoption.rows(ORIGINAL_ROWS) == before
        details = await service.until_balance(address_of(0), 98)
        assert details["height"] == 3
        sent = entry(await service.send(address_of(0), address_of(1), 8, lastHeight=3))
        assert (sent["height"], sent["balance"]) == (4, 90)
        await service.until_balance(address_of(1), 8)
        await adoption.network.fund(address_of(2), 5)
        path = f"/wallets/accounts/{address_of(2)}/receivables"
        assert len(await until(lambda: service.get(path), lambda waiting: len(waiting) == 1)) == 1
        created = await service.post("/wallets/Treasury/accounts")
        assert (created["index"], created["address"]) == (3, address_of(3))
        await until(lambda: service.get("/wallets/Treasury/entries"), lambda page: len(page["entries"]) == 5)


async def test_locked_wallet_is_unlocked_with_the_originals_key(adoption: Adoption) -> None:
    await adoption.use(0, 1)
    write_original(adoption.url, [OriginalAccount(address=address_of(0), index=0)], locked=True)
    async with adoption.start() as service:
        assert (await service.get("/wallets/Treasury"))["lockState"] == "LOCKED"
        words = "Wallet Treasury is locked"
        await service.until_balance(address_of(0), 100)
        assert_refused(await service.send(address_of(0), NOBODY, 1), 400, words, "wallet_locked")
        await service.unlock(TREASURY)
        assert entry(await service.send(address_of(0), NOBODY, 1))["balance"] == 99


async def test_callbacks_go_on_at_the_stored_height(adoption: Adoption, listener: CallbackListener) -> None:
    """Of one account some entries were delivered, of one none, and of one all."""
    for index, blocks in enumerate((5, 3, 2)):
        await adoption.use(index, blocks)
    heights = (2, None, 2)
    write_original(
        adoption.url,
        [
            OriginalAccount(address=address_of(index), index=index, notified_height=height)
            for index, height in enumerate(heights)
        ],
    )
    async with adoption.start(CALLBACK_URL=listener.url) as service:
        await eventually(lambda: len(listener.entries) == 6)
        assert entry(await service.send(address_of(2), NOBODY, 1))["height"] == 3
        await eventually(lambda: len(listener.entries) == 7)
        assert [listener.heights(address_of(index)) for index in range(3)] == [[3, 4, 5], [1, 2, 3], [3]]
        progress = "SELECT address, height FROM notification_state ORDER BY address"
        expected = sorted([address_of(index), str(height)] for index, height in enumerate((5, 3, 3)))
        await eventually(lambda: adoption.rows(progress) == expected)
    async with adoption.start(CALLBACK_URL=listener.url) as service:
        entry(await service.send(address_of(0), NOBODY, 1))
        await eventually(lambda: len(listener.entries) == 8)
        assert listener.heights(address_of(0)) == [3, 4, 5, 6]


async def test_callbacks_wait_for_a_node_that_is_away(adoption: Adoption, listener: CallbackListener) -> None:
    await adoption.use(0, 4)
    write_original(adoption.url, [OriginalAccount(address=address_of(0), index=0, notified_height=3)])
    async with adoption.start(CALLBACK_URL=listener.url, NODE_BASE_URL="http://127.0.0.1:9") as service:
        assert len(await service.get("/wallets/Treasury/accounts")) == 1
    assert listener.entries == []
    async with adoption.start(CALLBACK_URL=listener.url):
        await eventually(lambda: listener.heights(address_of(0)) == [4])


async def test_wrong_key_encryption_key_is_refused_and_harms_nothing(adoption: Adoption) -> None:
    await adoption.use(0, 1)
    write_original(adoption.url, [OriginalAccount(address=address_of(0), index=0)])
    before = adoption.rows(ORIGINAL_ROWS)
    words = "CHA_CHA20_KEY_ENCRYPTION_KEY is not the one that this database was sealed with.*Treasury"
    with pytest.raises(VaultError, match=words):
        async with adoption.start(CHA_CHA20_KEY_ENCRYPTION_KEY=KEY):
            pass
    assert adoption.rows(ORIGINAL_ROWS) == before
    async with adoption.start() as service:
        await service.until_balance(address_of(0), 100)
        assert entry(await service.send(address_of(0), NOBODY, 1))["balance"] == 99


async def test_a_key_of_zeros_needs_a_word_of_the_operator(adoption: Adoption) -> None:
    """The original took it, so its users may have it."""
    write_original(adoption.url, [OriginalAccount(address=address_of(0), index=0)])
    with pytest.raises(SettingsError, match="add atto to STRONGROOM_ALLOW_WEAK_KEYS"):
        async with adoption.start(STRONGROOM_ALLOW_WEAK_KEYS=""):
            pass


async def test_wallets_are_bound_when_they_are_adopted(adoption: Adoption) -> None:
    write_original(adoption.url, [OriginalAccount(address=address_of(0), index=0)])
    bound = "SELECT table_name, row_name, sequence FROM strongroom_binding"
    async with adoption.start() as service:
        assert adoption.rows(bound) == [["wallet", "Treasury", "3"]]
        assert service.health.components()["attoKeys"].status is Status.UP
    blob = at_rest()["encrypted_encryption_key"]
    adoption.rows("UPDATE wallet SET encrypted_encryption_key = NULL")
    async with adoption.start() as service:
        adoption.rows(f"UPDATE wallet SET encrypted_encryption_key = X'{blob}'")  # noqa: S608 - the test's own
        await service.create_account(TREASURY)


async def test_a_wallet_of_another_mnemonic_than_its_first_account_is_not_bound(adoption: Adoption) -> None:
    foreign = AttoAccount(bytes(31) + b"\x07").address.path
    write_original(adoption.url, [OriginalAccount(address=foreign, index=0)])
    async with adoption.start() as service:
        health = service.health.components()["attoKeys"]
        assert (health.status, health.detail) == (
            Status.DEGRADED,
            "Treasury was not written by this service",
        )
        words = "Wallet Treasury was not written by this service"
        response = await service.client.post("/wallets/Treasury/accounts")
        assert_refused(response, 503, words, "sealed_row_altered")


async def test_account_that_is_not_the_mnemonics_is_a_conflict(adoption: Adoption) -> None:
    foreign = AttoAccount(bytes(31) + b"\x07").address.path
    rows = [OriginalAccount(address=address_of(0), index=0), OriginalAccount(address=foreign, index=1)]
    write_original(adoption.url, rows)
    async with adoption.start() as service:
        words = "Persisted account index 1 does not match wallet mnemonic"
        response = await service.client.post("/wallets/Treasury/accounts/ranges/2")
        assert_refused(response, 409, words, "index_mismatch")
        response = await service.client.post("/wallets/Treasury/recoveries", json={"gapLimit": 2})
        assert_refused(response, 409, words, "index_mismatch")
        assert len(await service.get("/wallets/Treasury/accounts")) == 2


async def test_account_without_a_sound_row_stops_nobody(adoption: Adoption) -> None:
    """Two rows of one index, and one whose address is none: nothing in the original's tables forbids them."""
    foreign = AttoAccount(bytes(31) + b"\x07").address.path
    await adoption.use(0, 1)
    rows = [
        OriginalAccount(address=address_of(0), index=0),
        OriginalAccount(address=foreign, index=0),
        OriginalAccount(address="x" * 61, index=5),
    ]
    write_original(adoption.url, rows)
    async with adoption.start() as service:
        await service.until_balance(address_of(0), 100)
        assert entry(await service.send(address_of(0), NOBODY, 1))["balance"] == 99


async def test_names_that_differ_in_case_are_distinct_also_in_a_table_that_ignores_case(
    adoption: Adoption,
) -> None:
    """The original's tables ignore case; its routes do not."""
    write_original(adoption.url, [OriginalAccount(address=address_of(0), index=0)])
    async with adoption.start() as service:
        assert (await service.client.get("/wallets/TREASURY")).status_code == 404
        assert await service.get("/wallets/treasury/accounts") == []
        response = await service.client.post("/wallets/TREASURY/accounts")
        assert_refused(response, 404, "Wallet TREASURY does not exist", "wallet_not_found")
        response = await service.client.post("/wallets/treasury")
        assert_refused(response, 409, "Wallet with name treasury already exists", "wallet_exists")
        response = await service.client.put("/wallets/TREASURY/locks/LOCKED")
        assert response.status_code == 404
        assert (await service.get("/wallets/Treasury"))["lockState"] == "UNLOCKED"


async def test_the_database_is_given_back_after_a_payment(adoption: Adoption, tmp_path: Path) -> None:
    """The schema is as before, and the original's rows are as it would have written them itself."""
    await adoption.use(0, 2)
    write_original(adoption.url, [OriginalAccount(address=address_of(0), index=0, notified_height=2)])
    variables = adoption.variables() | {"NETWORK": "LOCAL", "NODE_BASE_URL": adoption.network.node_url}
    before = await look(adoption.url)
    refused = await ended("adopt", "atto", variables=variables)
    assert refused.status == 1
    assert "Make a backup first" in refused.stderr[-1]
    assert await look(adoption.url) == before
    taken = await ended(
        "adopt", "atto", "--backup", str(tmp_path), "--as", "operator:ann", variables=variables
    )
    assert taken.status == 0, taken
    assert any(line.startswith(f"The backup is {tmp_path}/") for line in taken.stdout)
    again = await ended("adopt", "atto", variables=variables)
    assert again.status == 0, again
    assert "  atto wallet keys: 1 unlocked wallets open, 0 are locked" in taken.stdout
    async with adoption.start() as service:
        await service.until_balance(address_of(0), 99)
        entry(await service.send(address_of(0), NOBODY, 1))
        progress = "SELECT address, height FROM notification_state"
        await eventually(lambda: adoption.rows(progress) == [[address_of(0), "3"]])
        running = await ended("adopt", "atto", "--revert", "--yes", variables=variables)
        assert running.status == 1
        assert "In the way: other connections use this database" in running.stderr[-1]
    file = tmp_path / "gone.jsonl.gz"
    returned = await ended("adopt", "atto", "--revert", "--yes", "--export", str(file), variables=variables)
    whose = adoption.url.database
    assert returned.status == 0, returned
    assert any(line.startswith("  strongroom_audit: ") for line in returned.stdout)
    gone = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    assert "SEND" in {
        one["row"]["kind"] for one in gone if one["table"] == "strongroom_intent" and "row" in one
    }
    trail = [one["row"] for one in gone if one["table"] == "strongroom_audit" and "row" in one]
    moves = [row for row in trail if row["action"].startswith("database.")]
    assert [(row["action"], row["principal"], row["subject"]) for row in moves] == [
        ("database.adopt", "operator:ann", whose),
        ("database.return", f"operator:{getpass.getuser()}", whose),
    ]
    after = await look(adoption.url)
    assert after.schema == before.schema
    for table in ("wallet", "account", "flyway_schema_history"):
        assert after.rows[table] == before.rows[table]
    # What the original's repositories send when it goes on.
    adoption.rows(
        f"UPDATE notification_state SET version = version + 1, height = 4 WHERE address = '{address_of(0)}' AND height = 3;"  # noqa: S608 - the test's own
        f"INSERT INTO account (address, version, account_index, wallet_name) VALUES ('{address_of(1)}', 0, 1, 'Treasury');"
        f"INSERT INTO notification_state (address, version, height) VALUES ('{address_of(1)}', 0, 0);"
        "UPDATE wallet SET version = version + 1, encrypted_encryption_key = NULL WHERE name = 'Treasury'"
    )
    progress = "SELECT height FROM notification_state ORDER BY height"
    assert adoption.rows(progress) == [["0"], ["4"]]


async def ended(*arguments: str, variables: Mapping[str, str]) -> Ended:
    """In a thread: the network runs in this test's loop."""
    return await asyncio.to_thread(run, *arguments, variables=variables)


async def test_original_finds_its_way_back(adoption: Adoption) -> None:
    """What we add to its tables is what it would have written itself."""
    await adoption.use(0, 2)
    write_original(adoption.url, [OriginalAccount(address=address_of(0), index=0, notified_height=2)])
    async with adoption.start() as service:
        await service.until_balance(address_of(0), 99)
        entry(await service.send(address_of(0), NOBODY, 1))
        await service.create_account(TREASURY)
        await service.post(f"/wallets/accounts/{address_of(0)}/states/DISABLED")
        await service.lock(TREASURY)
        await service.unlock(TREASURY)
        progress = "SELECT address, height FROM notification_state"
        await eventually(lambda: adoption.rows(progress) == [[address_of(0), "3"]])
    (wallet,) = adoption.rows(
        "SELECT name, version, LENGTH(encrypted_entropy), LENGTH(encrypted_encryption_key) FROM wallet"
    )
    assert wallet == ["Treasury", "5", "61", "60"]
    rows = adoption.rows(
        "SELECT address, version, account_index, wallet_name, disabled_at IS NULL FROM account ORDER BY account_index"
    )
    assert rows == [[address_of(0), "1", "0", "Treasury", "0"], [address_of(1), "0", "1", "Treasury", "1"]]
