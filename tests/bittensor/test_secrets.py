"""What is secret is in no log, no error and, unsealed, in no file: looked for after a real process has handled it."""

import base64
import json
import re
from pathlib import Path

import httpx2
import pytest
from structlog.testing import capture_logs

from strongroom.bittensor.protocol.keyfiles import read_key
from support.bittensor.live_node import live_node, new_node
from support.bittensor.weighing import body
from support.bittensor_service import (
    HOT,
    VECTORS,
    bearer,
    import_validator,
    running_bittensor,
    write_wallet,
)
from support.ports import free_port
from support.processes import strongroom

PASSWORD = "legacy-pw"
TOKEN = "a-token-of-the-operator-that-is-long"


def test_secrets_stay_where_they_are_handled(tmp_path: Path) -> None:
    folder, data = tmp_path / "wallets", tmp_path / "data"
    write_wallet(folder, "legacy_ansible_vault", "validator", coldkey="coldkey")
    write_wallet(folder, "mnemonic_12", "validator", **{"hotkeys/h": "hotkeys/default"})
    write_wallet(folder, "seed_only", "miner", **{"hotkeys/h": "hotkeys/default"})
    port = free_port()
    environment = {
        "network": "local",
        "STRONGROOM_DATA": str(data),
        "BITTENSOR_PORT": str(port),
        "MANAGEMENT_PORT": str(free_port()),
        "BITTENSOR_WALLET_PATH": str(folder),
        "WALLET_PASSWORD": PASSWORD,
        "WALLET_SERVICE_TOKEN": TOKEN,
        "LOG_LEVEL": "DEBUG",
        "LOG_FORMAT": "json",
    }
    with strongroom(
        "bittensor", "import", str(folder / "validator"), "--coldkey", environment=environment
    ) as importing:
        assert importing.wait_end() == 0
        logs = importing.logs()
    with strongroom("serve", "bittensor", environment=environment) as process:
        process.wait_ready()
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        assert re.search(r"Max core file size +0 +0 ", limits), limits
        answers = use_keys(f"http://127.0.0.1:{port}")
        assert process.terminate() == 0
        logs += process.logs()
    secrets = {
        "password": PASSWORD.encode(),
        "token": TOKEN.encode(),
        "phrase": VECTORS["mnemonic_12"]["mnemonic"].encode(),
    }
    for name, file, password in (
        ("mnemonic_12", "hotkeys/h", None),
        ("seed_only", "hotkeys/h", None),
        ("legacy_ansible_vault", "coldkey", PASSWORD),
    ):
        plain = base64.b64decode(VECTORS[name]["files"][file]["base64"])
        secrets[f"private key of {name}"] = read_key(plain, password).secret()
    written = {path.name: path.read_bytes() for path in data.iterdir()}
    assert "bittensor.sqlite3" in written
    for what, secret in secrets.items():
        forms = {secret, secret.hex().encode(), secret.hex().upper().encode(), base64.b64encode(secret)}
        for form in forms:
            assert form not in logs.encode(), what
            assert form not in "".join(answers).encode(), what
            assert [name for name, content in written.items() if form in content] == [], what
    assert all((data / name).stat().st_mode & 0o077 == 0 for name in written)


@pytest.mark.parametrize("is_there", [True, False])
async def test_an_endpoint_may_hold_a_key(tmp_path: Path, *, is_there: bool) -> None:
    """Operators of nodes put it into the path or the query; the message of an error goes to every caller."""
    async with live_node(new_node(424, [HOT.public_key])) as node:
        where = f"127.0.0.1:{node.port}"
        if not is_there:
            await node.close()
        variables = {
            "STRONGROOM_DATA": str(tmp_path),
            "chain_endpoint": f"ws://operator:s3cret@{where}/s3cret?apikey=s3cret",
        }
        with capture_logs() as logs:
            async with running_bittensor(variables) as service:
                await import_validator(service)
                answer = await service.client.post("/wallet/set_weights", json=body())
                assert answer.status_code == (200 if is_there else 503)
                told = f"{answer.text} {service.health.components()} {logs}"
    assert where in told
    assert "s3cret" not in told


def use_keys(url: str) -> list[str]:
    """Every answer, the refusals too."""
    with httpx2.Client(
        base_url=url, trust_env=False, verify=False, timeout=20, headers=bearer(TOKEN)
    ) as client:
        sign = {"wallet_name": "validator", "message": "1763729464123"}
        signed = client.post("/wallet/sign", json=sign)
        assert signed.status_code == 200
        answers = [
            signed,
            client.post("/wallet/sign", json=sign | {"wallet_name": "miner"}),
            client.post("/wallet/sign", json=sign | {"message_type": "coldkey"}),
            client.post("/wallet/sign", json=sign | {"message": "words"}),
            client.post("/wallet/sign", json=sign | {"wallet_name": "nobody"}),
            client.post("/wallet/sign", json=[]),
            client.post("/wallet/verify", json=sign | {"signature": "zz"}),
            client.post("/wallet/sign", json=sign, headers=bearer(TOKEN + "x")),
            client.get("/wallet/info?wallet_name=validator"),
            client.get("/openapi.json"),
        ]
        return [answer.text + json.dumps(dict(answer.headers)) for answer in answers]
