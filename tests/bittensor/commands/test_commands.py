"""`strongroom bittensor` and `strongroom token --ledger bittensor`, as an operator runs them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from commands.conftest import Ended, run
from support.bittensor_service import VECTORS, write_wallet
from support.ports import free_port

ADDRESS = VECTORS["legacy_ansible_vault"]["expected"]["ss58"]
TOKEN = re.compile(r"sr_(?P<id>[0-9a-f]{16})_[a-z2-7]{52}")


@pytest.fixture
def wallet(tmp_path: Path) -> Path:
    """A wallet with an encrypted coldkey (password `legacy-pw`) and two hotkeys."""
    folder = tmp_path / "wallets"
    write_wallet(folder, "legacy_ansible_vault", "validator", coldkey="coldkey")
    write_wallet(folder, "mnemonic_12", "validator", **{"hotkeys/h": "hotkeys/default"})
    write_wallet(folder, "seed_only", "validator", **{"hotkeys/h": "hotkeys/other"})
    return folder / "validator"


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    return {"network": "local", "STRONGROOM_DATA": str(tmp_path / "data"), "COLUMNS": "160"}


def test_a_wallet_is_imported_listed_and_removed(wallet: Path, variables: dict[str, str]) -> None:
    password = {"WALLET_PASSWORD": "legacy-pw"}
    ended = run("bittensor", "import", str(wallet), "--coldkey", variables=variables | password)
    hot, other = (VECTORS[name]["expected"]["ss58"] for name in ("mnemonic_12", "seed_only"))
    lines = [f"validator/coldkey {ADDRESS}", f"validator/default {hot}", f"validator/other {other}"]
    assert (ended.status, ended.stdout) == (0, [f"{line} imported" for line in lines])
    again = run("bittensor", "import", str(wallet), "--coldkey", variables=variables | password)
    assert again.stdout == [f"{line} was there already" for line in lines]

    listed = run("bittensor", "wallets", variables=variables)
    assert [re.split(r"\s*│\s*", line)[1:4] for line in listed.stdout if "validator" in line] == [
        [*line.split(), "vault"] for line in lines
    ]

    assert run("bittensor", "remove", "validator", "other", variables=variables).stdout == [
        "removed validator/other"
    ]
    ended = run("bittensor", "remove", "validator", "other", variables=variables)
    assert (ended.status, ended.stderr) == (1, ["strongroom: The vault has no key validator/other"])
    assert "other" not in "".join(run("bittensor", "wallets", variables=variables).stdout)


def test_without_being_asked_for_the_coldkey_stays_outside(wallet: Path, variables: dict[str, str]) -> None:
    (wallet / "coldkeypub.txt").write_text(f'{{"ss58Address": "{ADDRESS}"}}')
    ended = run("bittensor", "import", str(wallet), "--hotkey", "other", "--name", "v", variables=variables)
    assert [line.split()[0] for line in ended.stdout] == ["v/coldkey", "v/other"]
    listed = run("bittensor", "wallets", variables=variables).stdout
    assert any("v/coldkey" in line and "address only" in line for line in listed)


@pytest.mark.parametrize(
    ("arguments", "password", "reason"),
    [
        (["--coldkey"], "open sesame", "coldkey: The password does not open the key file"),
        (
            ["--coldkey"],
            "",
            "coldkey: The key file is encrypted, and no password is given for it (WALLET_PASSWORD)",
        ),
        (["--hotkey", "nobody"], "", "has no hotkey nobody"),
        (["--name", "../v"], "legacy-pw", "The name of a wallet has 1 to 64 letters"),
        ([], "", "without its public file it needs --coldkey"),
    ],
)
def test_what_cannot_be_imported_is_said(
    wallet: Path, variables: dict[str, str], arguments: list[str], password: str, reason: str
) -> None:
    ended = run(
        "bittensor", "import", str(wallet), *arguments, variables=variables | {"WALLET_PASSWORD": password}
    )
    assert ended.status == 1
    assert reason in " ".join(ended.stderr)
    assert "sesame" not in " ".join(ended.stderr)


def test_another_key_does_not_take_a_name(wallet: Path, variables: dict[str, str]) -> None:
    (wallet / "coldkey").unlink()
    assert run("bittensor", "import", str(wallet), variables=variables).status == 0
    (wallet / "hotkeys" / "default").write_bytes((wallet / "hotkeys" / "other").read_bytes())
    ended = run("bittensor", "import", str(wallet), variables=variables)
    assert (ended.status, ended.stderr) == (1, ["strongroom: validator/default is another key in the vault"])


def add(variables: dict[str, str], secret: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "strongroom", "bittensor", "add", "v", "h"]
    return subprocess.run(
        command, env=os.environ | variables, input=f"{secret}\n", capture_output=True, text=True, check=False
    )


def test_a_key_is_added_from_its_phrase(variables: dict[str, str]) -> None:
    vector = VECTORS["mnemonic_24"]
    ended = add(variables, vector["mnemonic"])
    assert (ended.returncode, ended.stdout) == (0, f"v/h {vector['expected']['ss58']} imported\n")
    ended = add(variables, vector["mnemonic"].rpartition(" ")[0])
    assert (ended.returncode, ended.stderr) == (
        1,
        "strongroom: The secret phrase is not one of BIP-39 in English\n",
    )


def test_on_a_real_network_no_development_key_is_added(variables: dict[str, str]) -> None:
    ended = add(variables | {"network": "finney"}, "//Alice")
    assert ended.returncode == 1
    assert "a development key, which everybody has" in ended.stderr


def test_doctor_opens_every_key_and_misses_the_one_that_sealed_them(
    wallet: Path, variables: dict[str, str]
) -> None:
    (wallet / "coldkey").unlink()
    assert run("bittensor", "import", str(wallet), variables=variables).status == 0
    nowhere = variables | {"chain_endpoint": f"ws://127.0.0.1:{free_port()}"}
    ended = run("doctor", variables=nowhere)
    assert ended.status == 1
    said = {line.split("│")[1].strip(): line for line in ended.stdout if "bittensor" in line and "│" in line}
    assert "2 keys open, 0 are known by their address alone" in said["bittensor keys"]
    assert "5 rows verified" in said["bittensor audit trail"]
    assert "bad" in said["bittensor chain"]
    (Path(variables["STRONGROOM_DATA"]) / "bittensor.kek").unlink()
    ended = run("bittensor", "wallets", variables=variables)
    assert ended.status == 1
    assert "bittensor.kek does not exist, and the database was sealed with the key in it" in " ".join(
        ended.stderr
    )


def token_id(ended: Ended) -> str:
    assert ended.status == 0, ended
    found = TOKEN.fullmatch(ended.stdout[0])
    assert found, ended
    return found["id"]


def test_a_token_with_limits_is_made_listed_rotated_and_revoked(variables: dict[str, str]) -> None:
    limits = ["--wallet", "validator", "--netuid", "2", "--call", "weights", "--rate", "60"]
    made = run(
        "token",
        "create",
        "node",
        "--ledger",
        "bittensor",
        "--scope",
        "bittensor:sign",
        *limits,
        variables=variables,
    )
    identity = token_id(made)
    listed = "".join(run("token", "list", "--ledger", "bittensor", variables=variables).stdout)
    assert "wallets:validator" in listed.replace(" ", "")
    rotated = run("token", "rotate", identity, "--ledger", "bittensor", variables=variables)
    assert token_id(rotated) == identity
    assert rotated.stdout != made.stdout
    assert run("token", "revoke", identity, "--ledger", "bittensor", variables=variables).status == 0
    assert run("token", "rotate", identity, "--ledger", "bittensor", variables=variables).status == 1


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (["--scope", "atto:send"], 2, "unknown scope atto:send"),
        (["--scope", "*", "--call", "Utility.batch"], 1, "No token may make the call Utility.batch"),
        (["--scope", "*", "--network", "here"], 1, "'here' is no network"),
        (["--scope", "*", "--rate", "0"], 1, "A rate looks like 60/min"),
    ],
)
def test_a_wrong_token_is_refused(
    variables: dict[str, str], arguments: list[str], status: int, reason: str
) -> None:
    ended = run("token", "create", "node", "--ledger", "bittensor", *arguments, variables=variables)
    assert ended.status == status
    assert reason in " ".join(ended.stderr)


def test_a_proxy_takes_the_place_of_the_coldkey(wallet: Path, variables: dict[str, str]) -> None:
    """From a folder of its own, whose coldkey becomes the proxy; twice is once."""
    variables |= {"WALLET_PASSWORD": "legacy-pw"}
    real = VECTORS["mnemonic_12"]["expected"]["ss58"]
    command = ("bittensor", "import", str(wallet), "--name", "v", "--proxy-for", real)
    lines = [
        f"v/(proxy) {ADDRESS} Staking proxy of {real} {state}" for state in ("imported", "was there already")
    ]
    for line in lines:
        assert run(*command, variables=variables).stdout == [line]
    listed = run("bittensor", "wallets", variables=variables).stdout
    assert any(f"vault, Staking proxy of {real}" in line for line in listed)
    other = run(*command, "--proxy-type", "NonTransfer", variables=variables)
    assert other.stderr == ["strongroom: v/(proxy) is another key in the vault"]
    unknown = run(*command, "--proxy-type", "Any", variables=variables)
    assert "one of Staking, NonTransfer, Registration, ChildKeys, not Any" in unknown.stderr[-1]
    itself = run(
        "bittensor", "import", str(wallet), "--name", "w", "--proxy-for", ADDRESS, variables=variables
    )
    assert itself.stderr == [f"strongroom: {ADDRESS} is no proxy of itself"]
    assert run("bittensor", "remove", "v", "--proxy", variables=variables).stdout == ["removed v/(proxy)"]
