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
BIN = str(Path(sys.executable).parent)


def test_every_variable_is_there() -> None:
    names = {CERTIFICATE, KEY, CLIENT_CA, CLIENT_CRL, CLIENT_CERTIFICATES}
    assert {name for name in names if f"`{COMMON}_{name}`" not in PAGE} == set()
    assert f"`{EXCEPT_VARIABLE}`" in PAGE


def test_the_commands_do_what_the_page_says(tmp_path: Path) -> None:
    make, serve, *client = BLOCKS
    variables = {
        "STRONGROOM_DATA": str(tmp_path / "data"),
        **own_ports(),
        **{name: value.replace("$PWD", str(tmp_path)) for name, value in EXPORT.findall(serve)},
    }

    def run(script: str) -> str:
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            env=os.environ | variables | {"PATH": f"{BIN}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, f"{script}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    run(make)
    assert serve.endswith("strongroom doctor\nstrongroom serve\n")
    with strongroom("serve", "--sandbox", environment=variables) as process:
        ready = process.wait_ready()
        assert "management=http://" in ready
        assert "atto=https://" in ready
        answers = [run(each) for each in client]
    assert answers[0] == "[]"
