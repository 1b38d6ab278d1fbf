import os
import subprocess
import sys

import pytest

from commands.conftest import Installation


@pytest.fixture
def wallet(installation: Installation, request: pytest.FixtureRequest) -> str:
    name = str(request.node.name)
    assert installation.client.post(f"/wallets/{name}").status_code == 200
    return name


def test_a_range_is_made_and_a_recovery_counts_what_is_there(installation: Installation, wallet: str) -> None:
    made = installation.run("atto", "range", wallet, "4")
    assert (made.status, made.stdout, made.stderr) == (0, ["5 accounts"], [])

    recovered = installation.run("atto", "recover", wallet, "--gap-limit", "3")
    assert (recovered.status, recovered.stderr) == (0, [])
    assert recovered.stdout == [
        "scanned 3 indexes from 4: 2 accounts recovered, 1 there already",
    ]
    again = installation.run("atto", "recover", wallet, "--gap-limit", "3")
    assert again.stdout == ["scanned 3 indexes from 4: 0 accounts recovered, 3 there already"]


def test_a_refusal_shows_the_services_message(installation: Installation, wallet: str) -> None:
    refusals = [
        installation.run("atto", "recover", "nobody"),
        installation.run("atto", "recover", wallet, "--gap-limit", "0"),
        installation.run("atto", "range", wallet, "20000"),
    ]
    assert [(one.status, one.stderr) for one in refusals] == [
        (1, ["strongroom: Wallet with nobody not found"]),
        (1, ["strongroom: gapLimit must be greater than 0"]),
        (
            1,
            [
                (
                    "strongroom: That would touch 20001 account indexes; at most 10000 are allowed at once"
                    " (ATTO_SCAN_LIMIT)"
                )
            ],
        ),
    ]


def test_whatever_else_answers_is_not_taken_for_the_service(installation: Installation) -> None:
    management = f"http://127.0.0.1:{installation.variables['MANAGEMENT_PORT']}"
    ended = installation.run("atto", "recover", "savings", "--url", management)
    assert (ended.status, ended.stderr) == (
        1,
        [f"strongroom: {management}/wallets/savings/recoveries answered 404; is that a Strongroom service?"],
    )


def rekey(
    installation: Installation, *arguments: str, secrets: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "strongroom", "atto", "rekey", *arguments],
        env=os.environ | installation.variables,
        input="".join(f"{secret}\n" for secret in secrets),
        capture_output=True,
        text=True,
        check=False,
    )


def unlock(installation: Installation, wallet: str, key: str) -> int:
    body = {"encryptionKey": key}
    return installation.client.put(f"/wallets/{wallet}/locks/UNLOCKED", json=body).status_code


def test_a_wallet_gets_another_key_beside_the_service(installation: Installation) -> None:
    made = installation.client.post("/wallets/rekeyed").json()
    key, mnemonic = made["encryptionKey"], made["mnemonic"]
    wrong = rekey(installation, "rekeyed", "--yes", secrets=("00" * 32,))
    assert (wrong.returncode, wrong.stderr) == (1, "strongroom: Invalid encryption key for rekeyed\n")

    changed = rekey(installation, "rekeyed", "--yes", secrets=(key,))
    first = changed.stdout.strip()
    assert (changed.returncode, len(first)) == (0, 64)
    assert changed.stderr == "rekeyed has the new key; the one before opens nothing any more\n"
    assert [unlock(installation, "rekeyed", one) for one in (key, first)] == [400, 200]

    refused = rekey(installation, "rekeyed", "--unlocked")  # nobody says that it is stored
    assert (refused.returncode, len(refused.stdout.strip())) == (1, 64)
    assert unlock(installation, "rekeyed", first) == 200

    second = "0123456789abcdef" * 2 + "fedcba9876543210" * 2
    given = rekey(installation, "rekeyed", "--mnemonic", "--given", secrets=(mnemonic, second))
    assert (given.returncode, given.stdout) == (0, ""), given.stderr
    assert [unlock(installation, "rekeyed", one) for one in (first, second)] == [400, 200]

    third = rekey(installation, "rekeyed", "--unlocked", "--yes").stdout.strip()
    assert [unlock(installation, "rekeyed", one) for one in (second, third)] == [400, 200]
    invalid = rekey(installation, "rekeyed", "--mnemonic", "--yes", secrets=("abandon " * 24,))
    assert (invalid.returncode, invalid.stdout) == (1, "")
    assert "checksum" in invalid.stderr
    both = rekey(installation, "rekeyed", "--mnemonic", "--unlocked")
    assert both.returncode == 2
