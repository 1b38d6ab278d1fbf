"""`strongroom audit` beside a running service."""

import json
from typing import Any

import httpx2
import pytest

from commands.conftest import Installation


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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "--since", "yesterday"), "must be a moment such as"),
        (("show", "--ledger", "doge"), "the ledger is atto or hathor or bittensor"),
        (("show", "--before", "9"), "--before needs --ledger"),
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
