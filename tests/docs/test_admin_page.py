"""docs/admin.md: its commands run as they stand, one after the other, and every route is in it or in the API's document."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from strongroom.core.security.access import ADMIN_SCOPES
from support.ports import own_ports
from support.processes import strongroom

PAGE = (Path(__file__).parents[2] / "docs" / "admin.md").read_text()
SCRIPT = "".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL))


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    variables = {"STRONGROOM_DATA": str(tmp_path_factory.mktemp("admin")), **own_ports()}
    with strongroom("serve", "--sandbox", environment=variables) as process:
        process.wait_ready()
        yield variables


def run(script: str, variables: dict[str, str]) -> list[str]:
    """What it printed; each answer of curl is a line."""
    programs = Path(sys.executable).parent
    assert shutil.which("curl"), "the page is written for curl"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("curl -s ", r"curl -sS --fail-with-body -w '\n' ")],
        env={
            **variables,
            "PATH": f"{programs}:/usr/bin:/bin",
            "ADMIN": f"http://127.0.0.1:{variables['CONSOLE_PORT']}/admin/v1",
        },
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if line]


def test_the_commands_of_the_page_do_what_it_says(variables: dict[str, str]) -> None:
    answers = [json.loads(line) for line in run(SCRIPT, variables)]
    overview = answers.pop(2)
    assert {one["title"] for one in overview["ledgers"]} >= {"Atto"}
    me, ledgers, made, changed, rotated, revoked = answers[:6]
    assert me["ledgers"][0]["principal"] == "token:boss"
    assert ledgers[0]["ledger"] == "atto"
    assert made["token"]["scopes"] == ["atto:read", "atto:send"]
    assert changed["rate"] == "5/s"
    assert rotated["token"]["earlierSecretUntil"]
    assert revoked["name"] == "shop"
    assert revoked["revokedAt"]
    rule, decision, history, removed, approvals, freeze, frozen, unfrozen = answers[6:14]
    assert (rule["name"], rule["addedBy"]) == ("small sums", "token:boss")
    assert (decision["allowed"], decision["rule"]) == (False, "small sums")
    assert [one["name"] for one in history] == ["small sums"]
    assert removed["removedBy"] == "token:boss"
    assert approvals == {"approvals": [], "cursor": None}
    assert freeze["subject"] == "hot"
    assert frozen["ledgers"][0] == unfrozen["ledgers"][0] == {"ledger": "atto", "done": True}
    assert len(frozen["ledgers"]) == 3
    added, endpoints, disabled, rotated_secret, deliveries, replayed = answers[-6:]
    assert added["secret"].startswith("whsec_")
    assert rotated_secret["secret"] != added["secret"]
    assert [one["url"] for one in endpoints] == ["https://shop.example/…"]
    assert (disabled["state"], deliveries["events"], replayed["events"]) == ("disabled", [], 0)
    answers = answers[:-6]
    keys, key_rotated = answers[14:16]
    assert [(one["version"], one["state"]) for one in keys["versions"]] == [(1, "active")]
    assert key_rotated == {"version": 2}
    assert [page["wallets"] for page in answers[16:18]] == [[], []]
    assert all("payments" in page for page in answers[-8:-6])
    audit, key, made_now, checkpoints, verified, verified_again = answers[-6:]
    assert (verified_again["state"], verified_again["findings"]) == ("whole", [])
    assert verified["startedAt"] == verified_again["startedAt"]
    assert {row["action"] for row in audit["rows"]} >= {"token.create", "token.rotate", "token.revoke"}
    assert len(bytes.fromhex(key["publicKey"])) == 32
    assert made_now[-1] in checkpoints


def test_every_scope_is_on_the_page() -> None:
    assert all(f"| `{scope}` |" in PAGE for scope in ADMIN_SCOPES)
