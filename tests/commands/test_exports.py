"""`strongroom atto export` and `strongroom bittensor export`: with a warning, after somebody approved it, once."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from commands.conftest import Ended, Installation
from strongroom.bittensor.protocol.keyfiles import read_key
from strongroom.bittensor.protocol.keys import Keypair

PAGE = (Path(__file__).parents[2] / "docs" / "keys.md").read_text()
WARNING = "Whoever sees it has {}, past every rule of this service and for good"


def token(installation: Installation, ledger: str, *more: str) -> str:
    made = installation.run(
        "token", "create", "exporter", "--ledger", ledger, "--scope", f"{ledger}:export", *more
    )
    assert made.status == 0, made.stderr
    return next(found[0] for line in made.stdout if (found := re.search(r"sr_\S+", line)))


def approve(installation: Installation, ledger: str, refused: Ended) -> None:
    found = re.search(r"It waits as ([0-9a-f]{16})", " ".join(refused.stderr))
    assert (refused.status, refused.stdout) == (3, []), refused.stderr
    assert found is not None, refused.stderr
    approved = installation.run("approvals", "approve", found[1], "--ledger", ledger)
    assert approved.status == 0, approved.stderr


def export(
    installation: Installation, variables: dict[str, str], arguments: Sequence[str], secret: str, reach: str
) -> None:
    ledger = arguments[0]
    approve(installation, ledger, installation.run(*arguments, variables=variables))
    shown = installation.run(*arguments, variables=variables)
    assert (shown.status, shown.stdout) == (0, [secret]), shown.stderr
    assert WARNING.format(reach) in " ".join(shown.stderr)
    assert secret not in " ".join(shown.stderr)
    again = installation.run(*arguments, variables=variables)
    assert (again.status, again.stdout) == (3, [])
    unsure = installation.run(*arguments[:-1], variables=variables)
    assert (unsure.status, "".join(unsure.stdout).strip()) == (1, "")


def test_the_mnemonic_of_a_wallet(installation: Installation) -> None:
    mnemonic = installation.client.post("/wallets/exported").json()["mnemonic"]
    variables = {"STRONGROOM_ATTO_TOKEN": token(installation, "atto")}
    command = ("atto", "export", "exported", "--yes")
    export(installation, variables, command, mnemonic, "the wallet's money")
    unknown = installation.run("atto", "export", "nowhere", "--yes", variables=variables)
    assert (unknown.status, unknown.stderr[-1]) == (1, "strongroom: Wallet with nowhere not found")
    refused = installation.run(*command)
    assert (refused.status, refused.stderr[-1]) == (
        1,
        "strongroom: The token of 'anonymous' lacks the scope atto:export",
    )
    away = installation.run(*command, "--url", "http://127.0.0.1:9", variables=variables)
    assert (away.status, away.stderr[-1]) == (
        1,
        "strongroom: http://127.0.0.1:9 does not answer (ConnectError)",
    )


def test_the_page_s_commands(installation: Installation) -> None:
    """docs/keys.md, Export; `--yes` answers the question that a terminal is asked."""
    (block,) = re.findall(r"^## Export\n.*?```shell\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)
    lines = [line.partition("#")[0].split()[1:] for line in block.splitlines()]
    create, ask, approving, show = lines
    mnemonic = installation.client.post("/wallets/savings").json()["mnemonic"]
    made = installation.run(*create)
    found = re.search(r"sr_\S+", "\n".join(made.stdout))
    assert found is not None, made.stderr
    variables = {"STRONGROOM_ATTO_TOKEN": found[0]}
    waits = installation.run(*ask, "--yes", variables=variables)
    asked = re.search(r"It waits as ([0-9a-f]{16})", " ".join(waits.stderr))
    assert waits.status == 3
    assert asked is not None, waits.stderr
    named = [asked[1] if re.fullmatch("[0-9a-f]{16}", word) else word for word in approving]
    assert asked[1] in named
    assert installation.run(*named).status == 0
    assert installation.run(*show, "--yes", variables=variables).stdout == [mnemonic]


def test_the_private_key_of_a_hotkey(installation: Installation, tmp_path: Path) -> None:
    keypair = Keypair.from_uri("//Exported")
    variables = {"STRONGROOM_BITTENSOR_TOKEN": token(installation, "bittensor")}
    added = subprocess.run(
        [sys.executable, "-m", "strongroom", "bittensor", "add", "exported", "default"],
        env=os.environ | installation.variables,
        input="//Exported\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert added.returncode == 0, added.stderr
    command = ("bittensor", "export", "exported", "default", "--yes")
    export(installation, variables, command, f"0x{keypair.secret().hex()}", "the key")
    approve(
        installation, "bittensor", installation.run(*command, "--into", str(tmp_path), variables=variables)
    )
    written = installation.run(*command, "--into", str(tmp_path), variables=variables)
    path = tmp_path / "exported" / "hotkeys" / "default"
    assert written.stdout == [f"exported/default {keypair.address} is in {path}"]
    assert read_key(path.read_bytes()).secret() == keypair.secret()
    assert path.stat().st_mode & 0o777 == 0o600
    again = installation.run(*command, "--into", str(tmp_path), variables=variables)
    assert (again.status, again.stderr[-1]) == (
        1,
        f"strongroom: {path} is there already, and no key file is replaced",
    )
    cold = installation.run("bittensor", "export", "exported", "--coldkey", "--yes", variables=variables)
    assert (cold.status, cold.stderr[-1]) == (1, "strongroom: The token does not allow the coldkey")
