"""Known secrets of all ledgers go through one service, and are then looked for everywhere that it writes, answers or calls.

The answers that must contain a secret (a wallet made or imported, a token made, an export) are left out, and nothing else.
"""

import asyncio
import base64
import os
import re
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select
from sqlalchemy.engine import URL

from strongroom.atto.protocol import AccountKeys, Mnemonic
from strongroom.bittensor.protocol.keys import Keypair, mnemonic_seed
from strongroom.core.security.keys.secrets import SEALED_FOR
from strongroom.core.security.vault import KeyEncryptionKey, open_sealed
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database, sqlite_url
from support.atto_service import NOBODY
from support.callback_listener import CallbackListener, listening
from support.canaries import Canaries, contents, dump
from support.databases import execute_elsewhere
from support.mariadb import MariaDB
from support.ports import own_ports
from support.processes import Process, strongroom
from support.waiting import PATIENCE_S, eventually

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

WALLET = "canary"
KEY_FILES = frozenset({"atto.kek", "bittensor.kek"})
BITTENSOR_PHRASE = "legal winner thank year wave sausage worth useful legal winner thank yellow"
GONE = {"atto": "wallet", "bittensor": "strongroom_bittensor_key", "hathor": "wallet"}
"""A table that is taken away while the service runs, so that it fails with a traceback or an error of the database."""
GIVEN = {
    "CHA_CHA20_KEY_ENCRYPTION_KEY": "Atto's key-encryption key",
    "BITTENSOR_KEY_ENCRYPTION_KEY": "Bittensor's key-encryption key",
    "AUTH_SECRET": "Hathor's AUTH_SECRET",
    "AUTH_SECRET_PREVIOUS": "Hathor's AUTH_SECRET_PREVIOUS",
    "HATHOR_HEALTH_API_KEY": "Hathor's health key",
    "WALLET_SERVICE_TOKEN": "Bittensor's token",
    "MANAGER_JWT_SECRET_KEY": "the manager's JWT secret",
    "WALLET_PASSWORD": "the password of key files",
}
"""Variables with secrets, each 64 hex digits."""


@dataclass(kw_only=True)
class Household:
    """The service, what it may be asked with, and what it told."""

    folder: Path
    databases: dict[str, URL]
    variables: dict[str, str]
    canaries: Canaries = field(default_factory=Canaries)
    public: Canaries = field(default_factory=Canaries)
    """What everybody may see, and what shows that places are looked at where it is found in them."""
    told: dict[str, bytes] = field(default_factory=dict)

    def tell(self, what: str, text: str | bytes) -> None:
        raw = text if isinstance(text, bytes) else text.encode()
        self.told[what] = self.told.get(what, b"") + raw + b"\n"

    def plant(self, name: str, secret: str | bytes) -> None:
        self.canaries.plant(name, secret)

    async def command(self, *arguments: str, is_told: bool = True) -> str:
        """Runs a command of the operator; what it says is told, unless it must contain a secret."""
        with strongroom(*arguments, environment=self.variables) as process:
            await asyncio.to_thread(process.wait_end, PATIENCE_S)
            shown, errors = "\n".join(process.stdout), "\n".join(process.stderr)
        assert "Traceback" not in errors, errors
        self.tell("errors of commands", errors)
        if is_told:
            self.tell("output of commands", shown)
        return shown

    async def command_with(self, given: str, *arguments: str) -> None:
        """As `command`, with a secret on the standard input."""
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "strongroom", *arguments],
            env=os.environ | self.variables,
            input=f"{given}\n",
            capture_output=True,
            text=True,
            check=True,
        )
        self.tell("output of commands", done.stdout + done.stderr)

    def client(self, port: str, token: str | None = None) -> httpx2.AsyncClient:
        """Every answer is told, unless the request says that it is one with a secret."""

        async def note(answer: httpx2.Response) -> None:
            await answer.aread()
            if "shown" not in answer.request.extensions:
                self.tell("answers", f"{answer.text} {dict(answer.headers)}")

        return httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{self.variables[port]}",
            headers={} if token is None else {"Authorization": f"Bearer {token}"},
            event_hooks={"response": [note]},
            trust_env=False,
            verify=False,
            timeout=PATIENCE_S,
        )


@pytest.fixture(params=["sqlite", "mariadb"])
def household(request: pytest.FixtureRequest, tmp_path: Path) -> Household:
    data = tmp_path / "data"
    variables = {
        "STRONGROOM_DATA": str(data),
        **own_ports(),
        "LOG_LEVEL": "DEBUG",
        "LOG_FORMAT": "json",
        "COLUMNS": "200",
    }
    names = {"atto": "atto", "hathor": "hathor", "bittensor": "sandbox-bittensor-424"}
    databases = {ledger: sqlite_url(str(data / f"{name}.sqlite3")) for ledger, name in names.items()}
    if request.param == "mariadb":
        server: MariaDB = request.getfixturevalue("mariadb")
        databases = {ledger: server.new_database() for ledger in names}
        for ledger, (host, prefix, password) in {
            "atto": ("ATTO_DB_HOST", "ATTO_DB", "PASSWORD"),
            "hathor": ("DB_ENDPOINT", "DB", "PASS"),
            "bittensor": ("BITTENSOR_DB_HOST", "BITTENSOR_DB", "PASSWORD"),
        }.items():
            url = databases[ledger]
            variables |= {
                host: str(url.host),
                f"{prefix}_PORT": str(url.port),
                f"{prefix}_NAME": str(url.database),
                f"{prefix}_USER": str(url.username),
                f"{prefix}_{password}": str(url.password),
            }
    made = Household(folder=tmp_path, databases=databases, variables=variables)
    for variable, name in GIVEN.items():
        variables[variable] = secrets.token_hex(32)
        made.plant(name, variables[variable])
    return made


@asynccontextmanager
async def serving(household: Household) -> AsyncIterator[Process]:
    with strongroom("serve", "--sandbox", environment=household.variables) as process:
        await asyncio.to_thread(process.wait_ready)
        yield process
        assert await asyncio.to_thread(process.terminate) == 0
        household.tell("logs", process.logs())


async def make_token(household: Household, ledger: str, *scopes: str) -> str:
    name = f"{ledger}-{'-'.join(scopes)}"
    arguments = [part for scope in scopes for part in ("--scope", scope)]
    shown = await household.command("token", "create", name, "--ledger", ledger, *arguments, is_told=False)
    found = re.search(r"sr_[0-9a-f]{16}_(\S+)", shown)
    assert found is not None, shown
    household.plant(f"the secret of the token {name}", found[1])
    return found[0]


def plant_atto(household: Household, phrase: str) -> None:
    mnemonic = Mnemonic.parse(phrase)
    household.plant("Atto's mnemonic", phrase)
    household.plant("Atto's entropy", mnemonic.entropy[:32])
    household.plant("Atto's seed", mnemonic.seed())
    for index in range(2):
        household.plant(f"Atto's private key {index}", AccountKeys(mnemonic.seed()).private_key(index))


async def use_atto(household: Household, sink: CallbackListener) -> None:
    """A wallet's life, its refusals too."""
    key, new_key = secrets.token_hex(32), secrets.token_hex(32)
    for name, secret in (("Atto's wallet key", key), ("Atto's new wallet key", new_key)):
        household.plant(name, secret)
    phrase = Mnemonic.from_entropy32(secrets.token_bytes(32)).phrase
    plant_atto(household, phrase)
    async with household.client("ATTO_PORT") as client, household.client("SANDBOX_ATTO_NODE_PORT") as node:
        request = client.build_request("PUT", "/wallets/hot", json={"mnemonic": phrase, "encryptionKey": key})
        request.extensions["shown"] = True
        assert (await client.send(request)).status_code == 200
        address = (await client.post("/wallets/hot/accounts")).json()["address"]
        household.public.plant("address", address)
        await node.post("/_faucet", json={"address": address, "amount": 100})
        send = f"/wallets/accounts/{address}/transactions/SEND"
        paying = {"receiverAddress": NOBODY, "amount": 1}
        while not (sent := await client.post(send, json=paying)).is_success:
            assert sent.json()["code"] == "account_not_open"
        assert (await client.post(send, json=paying, headers={"Idempotency-Key": "once"})).is_success
        for path, body in wrong_atto_bodies(phrase, key):
            assert (await client.put(path, json=body)).status_code >= 400, path
        await client.post(send, json={"receiverAddress": phrase, "amount": key})
        await client.post(send, json=paying, headers={"Idempotency-Key": "y" * 300})
        await client.put("/wallets/hot/locks/LOCKED")
        assert (await client.put("/wallets/hot/locks/UNLOCKED", json={"encryptionKey": key})).is_success
        changed = {"encryptionKey": key, "newEncryptionKey": new_key}
        assert (await client.put("/wallets/hot/encryptionKey", json=changed)).is_success
        assert (await client.put("/wallets/hot/encryptionKey", json=changed)).status_code == 400
        await export_atto(household, client, phrase)
        await eventually(lambda: len(sink.entries) >= 2)
        household.tell("callbacks", repr(sink.requests))


def wrong_atto_bodies(phrase: str, key: str) -> Sequence[tuple[str, Any]]:
    unlock = "/wallets/hot/locks/UNLOCKED"
    return (
        ("/wallets/hot", {"mnemonic": phrase, "encryptionKey": key}),
        ("/wallets/other", {"mnemonic": [phrase], "encryptionKey": {key: key}}),
        ("/wallets/other", {"mnemonic": phrase + " " + phrase, "encryptionKey": key}),
        ("/wallets/other", {"mnemonic": phrase, "encryptionKey": key + "0"}),
        ("/wallets/other", phrase),
        (unlock, {"encryptionKey": [key]}),
        (unlock, {"encryptionKey": key + "00"}),
        (unlock, {"encryptionKey": phrase}),
        (unlock, key),
        ("/wallets/hot/encryptionKey", {"encryptionKey": key, "newEncryptionKey": key}),
        ("/wallets/hot/encryptionKey", {"encryptionKey": phrase, "newEncryptionKey": {phrase: key}}),
    )


async def export_atto(household: Household, client: httpx2.AsyncClient, phrase: str) -> None:
    headers = {"Authorization": f"Bearer {await make_token(household, 'atto', 'atto:export')}"}
    waiting = await client.post("/wallets/hot/exports", headers=headers)
    await household.command("approvals", "show", waiting.json()["approvalId"], "--ledger", "atto")
    await household.command("approvals", "approve", waiting.json()["approvalId"], "--ledger", "atto")
    request = client.build_request("POST", "/wallets/hot/exports", headers=headers)
    request.extensions["shown"] = True
    assert (await client.send(request)).json() == {"mnemonic": phrase}
    await household.command("approvals", "list", "--ledger", "atto")


async def add_webhook(household: Household) -> None:
    shown = await household.command(
        "webhook", "add", "canary", "https://hooks.invalid/here", "--ledger", "atto", is_told=False
    )
    found = re.search(r"whsec_(\S+)", shown)
    assert found is not None, shown
    household.plant("a webhook's secret", found[1])
    household.plant("a webhook's secret as bytes", base64.b64decode(found[1] + "=="))
    await household.command("webhook", "list", "--json", "--ledger", "atto")


async def use_bittensor(household: Household) -> None:
    """A hotkey is added, signs, is exported, and is refused."""
    keypair = Keypair.from_mnemonic(BITTENSOR_PHRASE)
    household.plant("Bittensor's phrase", BITTENSOR_PHRASE)
    household.plant("Bittensor's seed", mnemonic_seed(BITTENSOR_PHRASE))
    household.plant("Bittensor's private key", keypair.secret())
    household.plant("Bittensor's scalar", keypair.secret()[:32])
    await household.command_with(BITTENSOR_PHRASE, "bittensor", "add", WALLET, "default")
    secret = keypair.secret().hex()
    sign = {"wallet_name": WALLET, "hotkey_name": "default", "message": "1763729464123"}
    async with household.client("BITTENSOR_PORT", household.variables["WALLET_SERVICE_TOKEN"]) as client:
        assert (await client.post("/wallet/sign", json=sign)).is_success
        for wrong in (
            sign | {"message": BITTENSOR_PHRASE},
            sign | {"message": f"0x{secret}"},
            sign | {"wallet_name": secret},
            {"wallet_name": [BITTENSOR_PHRASE], "message": {secret: secret}},
            secret,
        ):
            assert (await client.post("/wallet/sign", json=wrong)).status_code >= 400
        headers = {"Authorization": f"Bearer {await make_token(household, 'bittensor', 'bittensor:export')}"}
        key = {"wallet_name": WALLET, "hotkey_name": "default"}
        waiting = await client.post("/wallet/export", json=key, headers=headers)
        await household.command(
            "approvals", "approve", waiting.json()["approval_id"], "--ledger", "bittensor"
        )
        request = client.build_request("POST", "/wallet/export", json=key, headers=headers)
        request.extensions["shown"] = True
        assert (await client.send(request)).json()["private_key"] == f"0x{secret}"


async def use_hathor(household: Household) -> None:
    """Its wallets keep their keys. What could leak are the secrets with which callers are known."""
    token = await make_token(household, "hathor", "hathor:*")
    async with household.client("HATHOR_PORT", token) as client:
        for path in ("/wallet/status", "/version", "/health", "/wallet/balances"):
            await client.get(path)
            await client.get(path, headers={"x-api-key": household.variables["HATHOR_HEALTH_API_KEY"]})
        for secret in (household.variables["AUTH_SECRET"], token):
            await client.post(
                "/auth/token", json={"ts": 1, "xpub": secret, "sign": secret, "walletId": secret}
            )
            await client.post("/wallet/init", json={"xpubkey": secret, "authXpubkey": [secret]})
            await client.get("/wallet/status", headers={"Authorization": f"Bearer {secret}x"})


async def look_around(household: Household) -> None:
    """Everything that tells of the service without changing it."""
    admin = await make_token(household, "atto", "admin")
    async with household.client("CONSOLE_PORT", admin) as client:
        documented = (await client.get("/admin/v1/openapi.json")).json()
        paths = [path for path, item in documented.get("paths", {}).items() if "get" in item]
        assert paths
        for path in paths:
            await client.get(re.sub(r"\{ledger\}", "atto", re.sub(r"\{(?!ledger)[^}]*\}", "1", path)))
    async with household.client("MANAGEMENT_PORT") as client:
        for path in ("/health", "/health/readiness", "/metrics", "/prometheus"):
            await client.get(path)
    for port, path in (
        ("ATTO_PORT", "/v3/api-docs"),
        ("ATTO_PORT", "/wallets"),
        ("HATHOR_PORT", "/openapi.json"),
        ("BITTENSOR_PORT", "/openapi.json"),
    ):
        async with household.client(port) as client:
            await client.get(path)
    for ledger in household.databases:
        await household.command("token", "list", "--json", "--ledger", ledger)
        await household.command("policy", "history", "--ledger", ledger)
        await household.command("audit", "export", "--ledger", ledger)
    for command in (
        ("doctor",),
        ("keys", "list", "atto"),
        ("keys", "list", "bittensor"),
        ("migrate", "--dry-run"),
    ):
        await household.command(*command)


async def fail(household: Household, rename: Callable[[str, str], None]) -> None:
    """The databases lose a table under the running service, which is then asked with secrets."""
    for ledger, table in GONE.items():
        rename(ledger, f"ALTER TABLE {table} RENAME TO {table}_gone")
    key = secrets.token_hex(32)
    household.plant("a key in a request that fails", key)
    body = {"encryptionKey": key, "newEncryptionKey": key[::-1]}
    phrase = Mnemonic.from_entropy32(secrets.token_bytes(32)).phrase
    household.plant("a mnemonic in a request that fails", phrase)
    async with household.client("ATTO_PORT") as client:
        for answer in (
            await client.put("/wallets/hot/locks/UNLOCKED", json=body),
            await client.put("/wallets/hot/encryptionKey", json=body),
            await client.put("/wallets/new", json={"mnemonic": phrase, "encryptionKey": key}),
            await client.post("/wallets/made"),
        ):
            assert answer.status_code >= 500, answer.text
    async with household.client("BITTENSOR_PORT", household.variables["WALLET_SERVICE_TOKEN"]) as client:
        sign = {"wallet_name": WALLET, "hotkey_name": "default", "message": "1763729464123"}
        assert (await client.post("/wallet/sign", json=sign)).status_code >= 500
    for ledger, table in GONE.items():
        rename(ledger, f"ALTER TABLE {table}_gone RENAME TO {table}")


async def plant_derived(household: Household) -> None:
    """The secrets that the database itself holds, sealed."""
    for ledger, variable in (
        ("atto", "CHA_CHA20_KEY_ENCRYPTION_KEY"),
        ("bittensor", "BITTENSOR_KEY_ENCRYPTION_KEY"),
    ):
        key = KeyEncryptionKey(bytes.fromhex(household.variables[variable]))
        database = Database(household.databases[ledger])
        rows = await database.fetch_all(select(tables.secret))
        assert rows
        for row in rows:
            opened = open_sealed(key.derive(SEALED_FOR + row.purpose.encode()), row.sealed)
            household.plant(f"{ledger}'s secret {row.purpose}", opened)
        await database.close()


async def test_no_secret_is_where_it_should_not_be(household: Household) -> None:
    async with listening() as sink:
        header = secrets.token_hex(32)
        household.plant("the value of the callbacks' header", header)
        household.variables |= {
            "CALLBACK_URL": sink.url,
            "CALLBACK_HEADER_KEY": "X-Secret",
            "CALLBACK_HEADER_VALUE": header,
        }
        async with serving(household):
            await add_webhook(household)
            await use_atto(household, sink)
            await use_bittensor(household)
            await use_hathor(household)
            await look_around(household)
            await fail(household, lambda ledger, sql: _execute(household.databases[ledger], sql))
    backup = household.folder / "backup"
    await household.command("backup", str(backup))
    await plant_derived(household)
    places = dict(household.told)
    if backup.exists():
        places |= {f"backup/{name}": content for name, content in contents(backup).items()}
    data = Path(household.variables["STRONGROOM_DATA"])
    places |= {f"data/{name}": content for name, content in contents(data, but=KEY_FILES).items()}
    for ledger, url in household.databases.items():
        database = Database(url)
        places[f"the database of {ledger}"] = await dump(database)
        await database.close()
    shown = {place for _, place, _ in household.public.found(places)}
    assert {"answers", "callbacks", "output of commands", "the database of atto"} <= shown
    if household.databases["atto"].get_backend_name() == "sqlite":
        assert "backup/atto.sqlite3" in shown
    assert places["logs"].count(b"database_unusable") + places["logs"].count(b"cannot be used") > 0
    # The receiver of callbacks gets the header's value, which is what it is for.
    places["callbacks"] = places["callbacks"].replace(header.encode(), b"")
    assert household.canaries.found(places) == []


def _execute(url: URL, statement: str) -> None:
    execute_elsewhere(url, statement)
