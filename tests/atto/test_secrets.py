"""What is secret is in no log, no error and, unsealed, in no file: looked for after a real process has handled it."""

import asyncio
import json
import secrets
from pathlib import Path

import httpx2
import pytest

from strongroom.atto.protocol import AccountKeys, Mnemonic
from support.atto_network import AttoNetwork
from support.atto_service import NOBODY
from support.ports import free_port
from support.processes import strongroom

pytestmark = pytest.mark.anyio


def handle_secrets(url: str, node_url: str, phrase: str, key: str) -> list[str]:
    """Every answer of a wallet's life, the refusals too; the answer to its import is left out."""
    with httpx2.Client(base_url=url, trust_env=False, verify=False, timeout=20) as client:
        imported = client.put("/wallets/vault", json={"mnemonic": phrase, "encryptionKey": key})
        assert imported.status_code == 200
        address = client.post("/wallets/vault/accounts").json()["address"]
        funded = client.post(f"{node_url}/_faucet", json={"address": address, "amount": 100})
        assert funded.status_code == 200
        send = f"/wallets/accounts/{address}/transactions/SEND"
        body = {"receiverAddress": NOBODY, "amount": 1}
        while not (sent := client.post(send, json=body)).is_success:
            assert sent.json()["code"] == "account_not_open"
        answers = [
            sent,
            client.put("/wallets/vault", json={"mnemonic": phrase, "encryptionKey": key}),
            client.put("/wallets/other", json={"mnemonic": [phrase], "encryptionKey": {key: key}}),
            client.put("/wallets/other", json={"mnemonic": phrase.rpartition(" ")[0], "encryptionKey": key}),
            client.put("/wallets/other", json={"mnemonic": phrase, "encryptionKey": key + "0"}),
            client.put("/wallets/vault/locks/LOCKED"),
            client.put("/wallets/vault/locks/UNLOCKED", json={"encryptionKey": [key]}),
            client.put("/wallets/vault/locks/UNLOCKED", json={"encryptionKey": key[:-1]}),
            client.put("/wallets/vault/locks/UNLOCKED", json={"encryptionKey": key}),
            client.post(send, json={"receiverAddress": NOBODY, "amount": phrase}),
            client.get("/wallets/vault"),
        ]
        return [answer.text for answer in answers]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def test_secrets_stay_where_they_are_handled(network: AttoNetwork, tmp_path: Path) -> None:
    mnemonic = Mnemonic.from_entropy32(secrets.token_bytes(32))
    key = secrets.token_hex(32)
    port = free_port()
    environment = network.variables | {
        "STRONGROOM_DATA": str(tmp_path),
        "ATTO_PORT": str(port),
        "MANAGEMENT_PORT": str(free_port()),
        "LOG_LEVEL": "DEBUG",
        "LOG_FORMAT": "json",
    }
    with strongroom("serve", "atto", environment=environment) as process:
        await asyncio.to_thread(process.wait_ready)
        answers = await asyncio.to_thread(
            handle_secrets, f"http://127.0.0.1:{port}", network.node_url, mnemonic.phrase, key
        )
        assert await asyncio.to_thread(process.terminate) == 0
        logs = process.logs()
    assert [json.loads(line)["event"] for line in process.stderr]
    private_key = AccountKeys(mnemonic.seed()).private_key(0)
    raw = {
        "mnemonic": mnemonic.phrase.encode(),
        "half of the mnemonic": " ".join(mnemonic.phrase.split()[:12]).encode(),
        "entropy": mnemonic.entropy,
        "seed": mnemonic.seed(),
        "private key": private_key,
        "wallet's key": bytes.fromhex(key),
    }
    written = contents(tmp_path)
    assert {"atto.sqlite3", "atto.kek"} <= set(written)
    places = written | {"the logs": logs.encode(), "the answers": "\n".join(answers).encode()}
    found = [
        (name, place)
        for name, secret in raw.items()
        for form in (secret, secret.hex().encode(), secret.hex().upper().encode())
        for place, content in places.items()
        if form in content
    ]
    assert found == []
    assert (tmp_path / "atto.kek").stat().st_mode & 0o077 == 0
