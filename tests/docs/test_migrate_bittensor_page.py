"""docs/migrate-bittensor.md: its commands take a wallet of the official SDK in and give it back, and the SDK opens it."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from commands.conftest import Installation, installation
from commands.test_exports import approve
from support.bittensor.sdks import FOLDER, sdk

__all__ = ["installation"]

PAGE = (Path(__file__).parents[2] / "docs" / "migrate-bittensor.md").read_text()
PASSWORD = "of the coldkey's file"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # the SDK's installation, which is kept


def commands(heading: str) -> list[list[str]]:
    """The arguments of each line of the block under a heading."""
    found = re.search(rf"^## {heading}\n.*?```\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None
    return [line.split()[1:] for line in found[1].splitlines()]


def judged(program: str, *arguments: str) -> dict[str, Any]:
    ended = subprocess.run(
        [sdk("10.5.0").python, FOLDER / program, *arguments], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def test_the_official_wallet_opens_what_the_page_s_commands_give_back(
    installation: Installation, tmp_path: Path
) -> None:
    wallets = tmp_path / ".bittensor" / "wallets"
    hotkey, coldkey = judged("wallets.py", str(wallets))["validator"]
    variables = {"HOME": str(tmp_path), "WALLET_PASSWORD": PASSWORD}
    for key in ("default", "--coldkey"):  # the sandbox has one of this name
        installation.run("bittensor", "remove", "validator", key)
    take, show = commands("In")
    taken = installation.run(*take, "--coldkey", variables=variables)
    assert (taken.status, len(taken.stdout)) == (0, 2), taken
    assert "validator/default" in " ".join(installation.run(*show, variables=variables).stdout)
    (wallets / "validator").rename(tmp_path / "before")
    made = installation.run(
        "token", "create", "giver", "--ledger", "bittensor", "--scope", "bittensor:export", "--coldkey"
    )
    token = re.search(r"sr_\S+", " ".join(made.stdout))
    assert token is not None, made
    variables["STRONGROOM_BITTENSOR_TOKEN"] = token[0]
    for give in commands("Back"):
        # `--yes` answers the question that a terminal is asked.
        approve(installation, "bittensor", installation.run(*give, "--yes", variables=variables))
        given = installation.run(*give, "--yes", variables=variables)
        assert given.status == 0, given
    assert judged("opened.py", str(wallets), PASSWORD) == {
        "hotkey": hotkey,
        "coldkeypub": coldkey,
        "is_encrypted": True,
        "coldkey": coldkey,
        "signs": True,
    }
