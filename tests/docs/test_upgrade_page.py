"""docs/upgrade.md: its commands run as they stand, from a service that has run to its upgrade and back."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.ports import own_ports
from support.processes import strongroom

PAGE = (Path(__file__).parents[2] / "docs" / "upgrade.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.slow  # seven programs, one after the other; each has tests of its own
def test_the_commands_of_the_page_work_in_their_order(tmp_path: Path) -> None:
    own = {"STRONGROOM_DATA": str(tmp_path / "data"), "NETWORK": "local", **own_ports()}
    own["NODE_BASE_URL"] = "http://127.0.0.1:9"  # nobody: that is nothing which an upgrade needs
    with strongroom("serve", environment=own) as service:
        service.wait_ready()
        service.terminate()
    variables = own | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "200"}
    backed_up, migrated, restored = (run(block, tmp_path, variables) for block in BLOCKS)
    assert "backup/before" in backed_up
    assert re.search(r"schema of core: core_\d{4}", migrated), migrated
    assert "is up to date" in migrated
    assert (tmp_path / "data.newer" / "atto.sqlite3").exists()
    assert (tmp_path / "data" / "atto.sqlite3").exists()
    assert "atto database" in restored


def run(script: str, folder: Path, variables: dict[str, str]) -> str:
    done = subprocess.run(
        [
            "bash",
            "-eo",
            "pipefail",
            "-c",
            script.replace("strongroom doctor", "strongroom doctor || [ $? = 1 ]"),
        ],
        cwd=folder,
        env=variables,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
