"""docs/keys.md, Backends: its commands make what a service then uses."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from strongroom.core.ledger.keys.backends import make_key_backend
from strongroom.core.security.keys.backends.backend import purpose, wrap_surely
from strongroom.core.security.keys.backends.settings import NAMES
from support.clock import SeededEntropy
from support.custody.houses import read_settings
from support.custody.moto import CREDENTIALS, REGION, Moto
from support.custody.openbao import OpenBao
from support.custody.softhsm import CONFIGURATION, MODULE

PAGE = (Path(__file__).parents[2] / "docs" / "keys.md").read_text()
BIN = str(Path(sys.executable).parent)
KEY = bytes(range(32))


def commands(heading: str) -> str:
    """The first block of commands under a heading."""
    found = re.search(rf"^### {heading}\n.*?```sh\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def run(script: str, folder: Path, variables: dict[str, str]) -> str:
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=os.environ | variables | {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, f"{script}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


async def opens(variables: dict[str, str]) -> bool:
    """Whether a service with these variables can keep its key so."""
    backend = make_key_backend(read_settings(variables), ledger="atto", entropy=SeededEntropy())
    try:
        return await backend.unwrap(await wrap_surely(backend, KEY)) == KEY
    finally:
        await backend.close()


def test_every_variable_is_there() -> None:
    assert {name for name in NAMES if f"`{name}`" not in PAGE} == set()


async def test_openbao_is_set_up_as_the_page_says(openbao: OpenBao, tmp_path: Path) -> None:
    openbao.call("DELETE", "sys/mounts/transit")
    openbao.call("DELETE", "sys/policies/acl/strongroom")
    administrator = {"BAO_ADDR": openbao.url, "BAO_TOKEN": openbao.root}
    token = run(commands("Vault and OpenBao"), tmp_path, administrator).splitlines()[-1]
    assert await opens(
        {
            "ATTO_KEY_BACKEND": "vault:transit/keys/strongroom",
            "VAULT_ADDR": openbao.url,
            "VAULT_TOKEN": token,
        }
    )


async def test_softhsm_is_set_up_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(CONFIGURATION % (tmp_path / "tokens"))
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm2.conf"))
    run(commands("An HSM"), tmp_path, {"PIN": "5591-7720", "SO_PIN": "1234-5678"})
    assert await opens(
        {
            "ATTO_KEY_BACKEND": "pkcs11:token=strongroom;object=strongroom-kek",
            "STRONGROOM_PKCS11_MODULE": MODULE,
            "STRONGROOM_PKCS11_PIN": "5591-7720",
        }
    )


async def test_kms_is_set_up_as_the_page_says(
    moto: Moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    assert f'"kms:EncryptionContext:strongroom": "{purpose("atto")}"' in PAGE
    administrator = {"AWS_DEFAULT_REGION": REGION, **moto.variables()}
    run(commands("AWS KMS"), tmp_path, administrator)
    assert await opens({"ATTO_KEY_BACKEND": "kms:alias/strongroom", "AWS_REGION": REGION, **moto.variables()})
