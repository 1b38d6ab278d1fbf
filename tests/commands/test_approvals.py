"""`strongroom approvals` beside a running service."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from commands.conftest import Installation
from commands.test_payments import funded_account
from support.atto_service import NOBODY

ATTEMPTS = 3_000
RULE = {
    "effect": "approve",
    "when": {"wallets": ["approved"], "kinds": ["SEND"]},
    "approvals": {"needed": 2, "of": ["operator:ann", "operator:ben", "token:cleo"]},
}


def sent(installation: Installation, address: str, amount_raw: int) -> httpx2.Response:
    return installation.client.post(
        f"/wallets/accounts/{address}/transactions/SEND",
        json={"receiverAddress": NOBODY, "amount": amount_raw},
        headers={"Idempotency-Key": f"approved-{amount_raw}"},
    )


def paid(installation: Installation, address: str, amount_raw: int) -> dict[str, Any]:
    """The answer of an approved payment."""
    for _ in range(ATTEMPTS):
        answer = sent(installation, address, amount_raw)
        if answer.status_code == httpx2.codes.OK:
            found: dict[str, Any] = answer.json()
            return found
    raise AssertionError("it is not paid")


def waiting(installation: Installation, address: str, amount_raw: int) -> str:
    """The id under which a payment waits."""
    body = sent(installation, address, amount_raw).json()
    assert body["code"] == "approval_needed", body
    return str(body["approvalId"])


def shown(installation: Installation, approval: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads("\n".join(installation.run("approvals", "show", approval).stdout))
    return found


@pytest.fixture(scope="module")
def account(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    address = funded_account(installation, "approved")
    details = f"/wallets/accounts/{address}/details"
    assert any(installation.client.get(details).status_code == httpx2.codes.OK for _ in range(ATTEMPTS)), (
        "the account is not open"
    )
    document = tmp_path_factory.mktemp("rules") / "rule.json"
    Path(document).write_text(json.dumps(RULE))
    assert installation.run("policy", "add", "two of three", str(document)).status == 0
    yield address
    assert installation.run("policy", "remove", "two of three").status == 0


def test_a_payment_is_listed_approved_by_two_and_made(installation: Installation, account: str) -> None:
    approval = waiting(installation, account, 5)
    (line,) = installation.run("approvals", "list", "--json").stdout
    listed = json.loads(line)
    assert listed == shown(installation, approval)
    assert (listed["id"], listed["state"], listed["askedBy"]) == (approval, "parked", "anonymous")
    assert listed["requirements"] == [
        {"rule": "two of three", "needed": 2, "of": ["operator:ann", "operator:ben", "token:cleo"]}
    ]
    assert "two of three" in " ".join(" ".join(installation.run("approvals", "list").stdout).split())

    stranger = installation.run("approvals", "approve", approval, "--as", "operator:dan")
    assert (stranger.status, stranger.stdout) == (1, [])
    assert stranger.stderr == ["strongroom: operator:dan is none of those who decide this"]
    first = installation.run("approvals", "approve", approval, "--as", "operator:ann")
    assert first.stdout[0].startswith("approved by 1; the rule 'two of three' asks for 2 of")
    assert installation.run("approvals", "approve", approval, "--as", "operator:ann").status == 1
    second = installation.run("approvals", "approve", approval, "--as", "operator:ben")
    assert second.stdout == ["approved by 2"]

    answer = paid(installation, account, 5)
    assert shown(installation, approval)["signed"].upper() == answer["hash"]
    assert installation.run("approvals", "list", "--json").stdout == []


def test_a_refused_payment_is_told_why(installation: Installation, account: str) -> None:
    approval = waiting(installation, account, 6)
    ended = installation.run(
        "approvals", "refuse", approval, "--reason", "not this month", "--as", "operator:ben"
    )
    assert ended.stdout == ["refused"]
    answer = sent(installation, account, 6)
    assert (answer.status_code, answer.json()["code"]) == (403, "approval_refused")
    assert "not this month (operator:ben)" in answer.json()["message"]
    found = [json.loads(one) for one in installation.run("approvals", "list", "--all", "--json").stdout]
    assert found[0]["state"] == "refused"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("approvals", "approve", "nothing"), "No request waits or waited as nothing"),
        (("approvals", "show", "nothing"), "No request waits or waited as nothing"),
        (("approvals", "approve", "nothing", "--as", "ann"), "--as looks like operator:ann"),
        (("approvals", "list", "--ledger", "doge"), "the ledger is atto or hathor or bittensor"),
    ],
)
def test_a_mistake_is_told(installation: Installation, arguments: tuple[str, ...], words: str) -> None:
    ended = installation.run(*arguments)
    assert ended.status != 0
    assert words in " ".join(" ".join(ended.stderr).split())
