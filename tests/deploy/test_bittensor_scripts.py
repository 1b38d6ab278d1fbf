"""The scripts that start miner and validator, with a Python that only notes what it is asked to do."""

import shutil
from pathlib import Path

from support.processes import Process

ROOT = Path(__file__).parents[2]
SOURCE = "set -euo pipefail; . examples/bittensor/install.sh; echo installed"
# Each of its steps takes until there is a file `go`.
PYTHON = """#!/bin/sh
echo "$1 $2" >> done
until [ -e go ]; do sleep 0.02; done
if [ "$2" = venv ]; then
  mkdir -p "$3/bin"
  cp "$0" "$3/bin/python"
  touch "$3/bin/pip" && chmod +x "$3/bin/pip"
fi
"""


def checkout(folder: Path) -> None:
    target = folder / "examples" / "bittensor"
    target.mkdir(parents=True)
    for name in ("install.sh", "requirements.txt"):
        shutil.copy(ROOT / "examples" / "bittensor" / name, target)
    (folder / "python").write_text(PYTHON)
    (folder / "python").chmod(0o755)


def start(folder: Path) -> Process:
    environment = {"PYTHON": str(folder / "python")}
    return Process(["bash", "-c", SOURCE], environment=environment, folder=folder)


def test_miner_and_validator_started_at_once_install_once(tmp_path: Path) -> None:
    checkout(tmp_path)
    with start(tmp_path) as miner, start(tmp_path) as validator:
        for node in (miner, validator):
            node.wait_for("installing the Bittensor SDK")
        (tmp_path / "go").touch()
        for node in (miner, validator):
            assert node.wait_end() == 0, node.logs()
    assert (tmp_path / "done").read_text().splitlines() == ["-m venv", "-m pip"]


def test_an_installation_that_was_interrupted_is_made_good(tmp_path: Path) -> None:
    """`python -m venv` makes the interpreter first, and pip last."""
    checkout(tmp_path)
    half = tmp_path / ".venv-bittensor" / "bin"
    half.mkdir(parents=True)
    shutil.copy(tmp_path / "python", half / "python")
    with start(tmp_path) as node:
        (tmp_path / "go").touch()
        assert node.wait_end() == 0, node.logs()
    assert (tmp_path / "done").read_text().splitlines() == ["-m venv", "-m pip"]
