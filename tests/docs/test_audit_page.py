"""docs/audit.md: its commands run as they stand, one after the other, beside a service that has signed payments."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.ports import own_ports
from support.processes import strongroom

PAGE = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()
SCRIPT = "".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL))


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    variables = {"STRONGROOM_DATA": str(tmp_path_factory.mktemp("audit")), **own_ports(), "COLUMNS": "400"}
    with strongroom("serve", "--sandbox", environment=variables) as process:
        process.wait_ready()
        yield variables


def run(script: str, variables: dict[str, str], folder: Path) -> str:
    programs = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={**variables, "PATH": f"{programs}:/usr/bin:/bin"},
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_commands_of_the_page_do_what_it_says(variables: dict[str, str], tmp_path: Path) -> None:
    run("strongroom token create shop --scope atto:send", variables, tmp_path)
    shown = run(SCRIPT, variables, tmp_path)
    assert "token.create" in shown
    (row,) = map(json.loads, (tmp_path / "trail.jsonl").read_text().splitlines())
    assert (row["action"], row["principal"], row["details"]["name"]) == ("token.create", "operator", "shop")
