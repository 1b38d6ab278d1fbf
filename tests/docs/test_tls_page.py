"""docs/tls.md: its commands work in the order in which they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

from strongroom.core.http.tls.settings import (
    CERTIFICATE,
    CLIENT_CA,
    CLIENT_CERTIFICATES,
    CLIENT_CRL,
    COMMON,
    EXCEPT_VARIABLE,
    KEY,
)
from support.ports import own_ports
from support.processes import strongroom

PAGE = (Path(__file__).parents[2] / "docs" / "tls.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
EXPORT = re.compile(r"^export (\w+)=(.*)$", re.MULTILINE)
IN_SANDBOX = {"NETWORK": "LOCAL", "NODE_BASE_URL": "http://127.0.0.1:9"}
BIN = str(Path(sys.executable).parent)


def test_every_variable_is_there() -> None:
    names = {CERTIFICATE, KEY, CLIENT_CA, CLIENT_CRL, CLIENT_CERTIFICATES}
    assert {name for name in names if f"`{COMMON}_{name}`" not in PAGE} == set()
    assert f"`{EXCEPT_VARIABLE}`" in PAGE


def environment(variables: dict[str, str]) -> dict[str, str]:
    return os.environ | variables | {"PATH": f"{BIN}:{os.environ['PATH']}"}


def test_the_commands_do_what_the_page_says(tmp_path: Path) -> None:
    make, serve, ask, *create = BLOCKS
    variables = {
        "STRONGROOM_DATA": str(tmp_path / "data"),
        **own_ports(),
        "ATTO_REQUIRE_TOKEN": "true",
        **IN_SANDBOX,
        **{name: value.replace("$PWD", str(tmp_path)) for name, value in EXPORT.findall(serve)},
    }

    def run(script: str) -> str:
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            env=environment(variables),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, f"{script}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    run(make)
    assert serve.endswith("strongroom doctor\nstrongroom serve\n")
    with strongroom(
        "serve", "--sandbox", environment={k: v for k, v in variables.items() if k not in IN_SANDBOX}
    ) as process:
        ready = process.wait_ready()
        assert "management=http://" in ready
        assert "atto=https://" in ready
        refused = subprocess.run(
            ["bash", "-c", ask], cwd=tmp_path, env=environment(variables), capture_output=True, check=False
        )
        assert b"401" in refused.stderr
        made = [run(each) for each in create]
        assert [text.startswith("sr_") for text in made] == [False, False, True]
        assert run(ask) == "[]"
