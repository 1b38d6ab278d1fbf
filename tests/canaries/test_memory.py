"""After a seal the memory of a real service has no key any more, neither of those that it was given nor of what they opened."""

import asyncio
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import environ
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import select

from strongroom.atto.protocol import AccountKeys, Mnemonic
from strongroom.bittensor.protocol.keys import Keypair, mnemonic_seed
from strongroom.core.security.keys.secrets import SEALED_FOR
from strongroom.core.security.keys.trail_key import secret_of
from strongroom.core.security.vault import KeyEncryptionKey, open_sealed
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database, sqlite_url
from support.atto_service import NOBODY
from support.ports import own_ports
from support.process_memory import found_in
from support.processes import Process, strongroom
from support.waiting import PATIENCE_S, until_true

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

BITTENSOR_PHRASE = "letter advice cage absurd amount doctor acoustic avoid letter advice cage above"
TOKEN = secrets.token_hex(32)


class Holder:
    """A service, what it may hold in memory, and its files of keys."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.variables = {
            "STRONGROOM_DATA": str(folder / "data"),
            **own_ports(),
            "COLUMNS": "80",
            "WALLET_SERVICE_TOKEN": TOKEN,
        }
        self.secrets: dict[str, str | bytes] = {}

    @contextmanager
    def serving(self) -> Iterator[Process]:
        with strongroom("serve", "--sandbox", environment=self.variables) as process:
            process.wait_ready()
            yield process

    def command(self, *arguments: str, given: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "-m", "strongroom", *arguments],
            env=environ | self.variables,
            input=f"{given}\n",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def client(self, port: str, headers: Mapping[str, str] | None = None) -> httpx2.AsyncClient:
        url = f"http://127.0.0.1:{self.variables[port]}"
        return httpx2.AsyncClient(
            base_url=url, headers=headers, trust_env=False, verify=False, timeout=PATIENCE_S
        )

    async def plant_secrets(self, ledger: str, key: str, file: str) -> None:
        """The key-encryption key, and what is sealed under it for the trail."""
        self.secrets[f"{ledger}: key-encryption key"] = key
        database = Database(sqlite_url(str(self.folder / "data" / file)))
        rows = await database.fetch_all(select(tables.secret))
        await database.close()
        kek = KeyEncryptionKey(bytes.fromhex(key))
        for row in rows:
            purpose = row.purpose.encode()
            opened = open_sealed(kek.derive(SEALED_FOR + purpose), row.sealed)
            self.secrets[f"{ledger}: {row.purpose}"] = opened
            for derived in (b"audit", b"audit heads", b"rows") if purpose == b"trail" else ():
                self.secrets[f"{ledger}: trail, {derived.decode()}"] = secret_of(opened, derived)


@pytest.fixture
def holder(tmp_path: Path) -> Holder:
    return Holder(tmp_path)


async def use_atto(holder: Holder) -> None:
    """A wallet comes with its secrets, is locked and unlocked, and signs."""
    key, phrase = secrets.token_hex(32), Mnemonic.from_entropy32(secrets.token_bytes(32)).phrase
    mnemonic = Mnemonic.parse(phrase)
    holder.secrets |= {
        "Atto's wallet key": key,
        "Atto's mnemonic": phrase,
        "Atto's entropy": mnemonic.entropy[:32],
        "Atto's seed": mnemonic.seed(),
        "Atto's private key": AccountKeys(mnemonic.seed()).private_key(0),
        "Atto's key above it": AccountKeys(mnemonic.seed())._key,
    }
    async with holder.client("ATTO_PORT") as client, holder.client("SANDBOX_ATTO_NODE_PORT") as node:
        body = {"mnemonic": phrase, "encryptionKey": key}
        assert (await client.put("/wallets/hot", json=body)).is_success
        address = (await client.post("/wallets/hot/accounts")).json()["address"]
        assert (await client.put("/wallets/hot/locks/LOCKED")).is_success
        assert (await client.put("/wallets/hot/locks/UNLOCKED", json={"encryptionKey": key})).is_success
        await node.post("/_faucet", json={"address": address, "amount": 100})

        async def pays() -> bool:
            path = f"/wallets/accounts/{address}/transactions/SEND"
            return (await client.post(path, json={"receiverAddress": NOBODY, "amount": 1})).is_success

        await until_true(pays)


async def use_bittensor(holder: Holder) -> None:
    pair = Keypair.from_mnemonic(BITTENSOR_PHRASE)
    holder.secrets |= {
        "Bittensor's phrase": BITTENSOR_PHRASE,
        "Bittensor's seed": mnemonic_seed(BITTENSOR_PHRASE),
        "Bittensor's secret key": pair.secret(),
        "Bittensor's scalar": pair.secret()[:32],
    }
    holder.command("bittensor", "add", "cold", "default", given=BITTENSOR_PHRASE)
    sign = {"wallet_name": "cold", "hotkey_name": "default", "message": "1763729464123"}
    async with holder.client("BITTENSOR_PORT", {"Authorization": f"Bearer {TOKEN}"}) as client:
        assert (await client.post("/wallet/sign", json=sign)).is_success


async def assert_forgotten(holder: Holder, process: Process) -> None:
    """Seals, and looks until nothing is found; whoever frees a key a moment later is waited for."""
    before = found_in(process.pid, holder.secrets)
    assert {"atto: key-encryption key", "atto: trail, audit", "Atto's key above it"} <= before
    holder.command("seal", "--all")
    async with holder.client("MANAGEMENT_PORT") as management:

        async def is_sealed() -> bool:
            return bool((await management.get("/health")).json()["status"] == "SEALED")

        await until_true(is_sealed)
    found: set[str] = set()

    async def is_clean() -> bool:
        nonlocal found
        found = await asyncio.to_thread(found_in, process.pid, holder.secrets)
        return not found

    try:
        await until_true(is_clean)
    except TimeoutError:
        raise AssertionError(f"still in memory: {sorted(found)}") from None


async def test_a_sealed_service_has_no_key_in_memory(holder: Holder) -> None:
    """It keeps its own key-encryption keys, in files."""
    with holder.serving() as process:
        await use_atto(holder)
        await use_bittensor(holder)
        data = holder.folder / "data"
        await holder.plant_secrets("atto", (data / "atto.kek").read_text().strip(), "atto.sqlite3")
        await holder.plant_secrets(
            "bittensor", (data / "bittensor.kek").read_text().strip(), "sandbox-bittensor-424.sqlite3"
        )
        await assert_forgotten(holder, process)


async def test_nor_has_one_whose_key_is_in_a_file_that_a_variable_names(holder: Holder) -> None:
    key, file = secrets.token_hex(32), holder.folder / "kek"
    file.write_text(key)
    file.chmod(0o600)
    holder.variables["CHA_CHA20_KEY_ENCRYPTION_KEY_FILE"] = str(file)
    with holder.serving() as process:
        await use_atto(holder)
        await holder.plant_secrets("atto", key, "atto.sqlite3")
        await assert_forgotten(holder, process)
