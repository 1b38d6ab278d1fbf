"""`strongroom audit` beside a running service."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from commands.conftest import Installation, run
from commands.test_payments import funded_account
from support.waiting import until_true


def rows(installation: Installation, *arguments: str) -> list[dict[str, Any]]:
    ended = installation.run("audit", *arguments)
    assert ended.status == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout]


def test_rows_are_shown_newest_first_and_exported_oldest_first(installation: Installation) -> None:
    for name in ("audited-1", "audited-2", "audited-3"):
        assert installation.client.post(f"/wallets/{name}").status_code == httpx2.codes.OK
    wanted = ("--action", "wallet", "--ledger", "atto")
    shown = rows(installation, "show", *wanted, "--limit", "2", "--json")
    assert [row["subject"] for row in shown] == ["audited-3", "audited-2"]
    before = str(shown[-1]["sequence"])
    following = rows(installation, "show", *wanted, "--limit", "1", "--before", before, "--json")
    assert [row["subject"] for row in following] == ["audited-1"]
    exported = rows(installation, "export", *wanted)
    assert [row["subject"] for row in exported][-3:] == ["audited-1", "audited-2", "audited-3"]
    assert exported[-1] == shown[0]
    assert (shown[0]["principal"], shown[0]["action"]) == ("anonymous", "wallet.create")
    (of_one,) = rows(installation, "show", "--wallet", "audited-2", "--json")
    assert of_one == shown[1]
    table = " ".join(installation.run("audit", "show", "--subject", "audited-2").stdout)
    assert "wallet.create" in table


def signed(installation: Installation, wallet: str) -> list[dict[str, Any]]:
    ended = installation.run("payments", "--wallet", wallet, "--json")
    return [json.loads(line) for line in ended.stdout]


def public_key(installation: Installation) -> str:
    (key,) = installation.run("audit", "key", "--ledger", "atto").stdout
    assert len(bytes.fromhex(key)) == 32
    return key


@pytest.mark.anyio
async def test_a_payment_is_proven_to_whoever_has_the_public_key(
    installation: Installation, tmp_path: Path
) -> None:
    await asyncio.to_thread(funded_account, installation, "proven")

    async def is_signed() -> bool:
        return bool(signed(installation, "proven"))

    await until_true(is_signed)
    payment = signed(installation, "proven")[0]["id"]
    (made,) = rows(installation, "checkpoint", "--ledger", "atto")
    assert made["ledger"] == "atto"
    (receipt,) = installation.run("audit", "prove", payment).stdout
    assert len(receipt) <= 1024
    await asyncio.to_thread((tmp_path / "receipt").write_text, receipt)
    key = public_key(installation)
    offline = {"PATH": "/usr/bin", "COLUMNS": "80"}
    for given in (receipt, str(tmp_path / "receipt")):
        ended = run("audit", "check", given, "--key", key, "--payment", payment, variables=offline)
        (line,) = ended.stdout
        assert json.loads(line)["payment"] == payment.lower()
    wrong = run("audit", "check", receipt, "--key", key, "--payment", "00" * 32, variables=offline)
    assert (wrong.status, wrong.stdout) == (1, [])
    assert f"is of the payment {payment.lower()}" in " ".join(wrong.stderr)
    elsewhere = run("audit", "check", str(tmp_path / "nowhere"), "--key", key, variables=offline)
    assert elsewhere.status == 2
    assert "nor a file that can be read" in " ".join(" ".join(elsewhere.stderr).split())


def test_checkpoints_are_listed_continue_each_other_and_are_verified(
    installation: Installation, tmp_path: Path
) -> None:
    first, second = (rows(installation, "checkpoint", "--ledger", "hathor")[-1] for _ in range(2))
    assert rows(installation, "checkpoints", "--ledger", "hathor", "--limit", "2") == [second, first]
    before = str(second["checkpoint"])
    assert rows(installation, "checkpoints", "--ledger", "hathor", "--before", before)[0] == first
    numbers = (str(first["checkpoint"]), before)
    (proof,) = installation.run("audit", "consistency", *numbers, "--ledger", "hathor").stdout
    (key,) = installation.run("audit", "key", "--ledger", "hathor").stdout
    (told,) = installation.run("audit", "check", proof, "--key", key).stdout
    assert json.loads(told) == {"ledger": "hathor", "earlier": int(numbers[0]), "later": int(before)}
    kept = tmp_path / "kept.jsonl"
    kept.write_text("".join(json.dumps(one) + "\n" for one in (first, second)))
    good = installation.run("audit", "verify", "--since", str(kept))
    assert good.status == 0, good.stdout
    assert [line.split(":")[0] for line in good.stdout] == ["atto", "hathor", "bittensor"]
    assert all("rows verified" in line for line in good.stdout)
    forged = json.dumps(first | {"rows": 99})
    bad = installation.run("audit", "verify", "--ledger", "hathor", "--since", forged)
    assert bad.status == 1
    assert [line.split(": ")[:2] for line in bad.stdout] == [["hathor", "checkpoint_forged"]]
    gone = {"STRONGROOM_CHECKPOINT_FILE": str(tmp_path / "gone")}
    without = installation.run("audit", "verify", "--ledger", "hathor", variables=gone)
    assert without.status == 0
    assert "gone has no checkpoint of hathor: nothing is compared with it" in " ".join(
        " ".join(without.stderr).split()
    )
    (tmp_path / "empty").touch()
    for since, named in ((str(tmp_path / "empty"), "hathor"), (str(kept), "atto")):
        nothing = installation.run("audit", "verify", "--ledger", named, "--since", since)
        assert (nothing.status, nothing.stdout) == (1, [])
        assert f"has no checkpoint of {named}" in " ".join(" ".join(nothing.stderr).split())


def test_no_secret_is_in_the_trail(installation: Installation) -> None:
    """What makes, opens and uses secrets leaves none of them in the trail, nor in what proves it."""
    wallet = installation.client.post("/wallets/canary").json()
    token = installation.run("token", "create", "canary", "--scope", "atto:send").stdout[0]
    lock = installation.client.put("/wallets/canary/locks/LOCKED", json={})
    unlock = installation.client.put(
        "/wallets/canary/locks/UNLOCKED", json={"encryptionKey": wallet["encryptionKey"]}
    )
    assert {lock.status_code, unlock.status_code} == {httpx2.codes.OK}
    shown = "\n".join(
        line
        for command in (("export",), ("show", "--limit", "500"), ("checkpoint",), ("verify",))
        for line in installation.run("audit", *command).stdout
    )
    assert all(
        action in shown for action in ("wallet.create", "wallet.lock", "wallet.unlock", "token.create")
    )
    secrets = [wallet["encryptionKey"], wallet["mnemonic"], token, token.split("_")[2]]
    secrets += [" ".join(wallet["mnemonic"].split()[:3]), " ".join(wallet["mnemonic"].split()[-2:]) + '"']
    assert [secret for secret in secrets if secret in shown] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "--since", "yesterday"), "must be a moment such as"),
        (("show", "--ledger", "doge"), "the ledger is atto or hathor or bittensor"),
        (("show", "--before", "9"), "--before needs --ledger"),
        (("verify", "--since", "nowhere"), "is neither a checkpoint nor a file"),
        (("verify", "--since", "{}"), "This is no checkpoint"),
        (("prove", "00" * 32), "has no payment with this id"),
        (("prove", "xyz"), "64 hexadecimal digits"),
        (("consistency", "1", "999999"), "There are no checkpoints 1 and 999999"),
        (("check", "AAAA", "--key", "00" * 32), "This is no receipt"),
        (("check", "AAAA", "--key", "xyz"), "--key has 64 hexadecimal digits"),
    ],
)
def test_a_mistake_is_told(installation: Installation, arguments: tuple[str, ...], words: str) -> None:
    ended = installation.run("audit", *arguments)
    assert ended.status != 0
    assert words in " ".join(" ".join(ended.stderr).split())


def test_nothing_is_made_where_nothing_is(installation: Installation, tmp_path: Any) -> None:
    empty = {"STRONGROOM_DATA": str(tmp_path), "NODE_BASE_URL": "http://127.0.0.1:1", "NETWORK": "local"}
    ended = installation.run("audit", "show", "--ledger", "atto", variables=empty)
    assert ended.status == 1
    assert "There is no database" in " ".join(ended.stderr)
    assert list(tmp_path.iterdir()) == []
