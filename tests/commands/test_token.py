import asyncio
import json
import re
from typing import Any

import httpx2
import pytest
import typer

from commands.conftest import Installation
from strongroom.atto.definition import LEDGER as ATTO
from strongroom.commands import token as token_commands
from support.waiting import until_true

TOKEN = re.compile(r"sr_(?P<id>[0-9a-f]{16})_[a-z2-7]{52}")


def create(installation: Installation, name: str, *options: str) -> tuple[str, str]:
    """The token and its id."""
    ended = installation.run("token", "create", name, *options)
    assert ended.status == 0, ended
    found = TOKEN.fullmatch(ended.stdout[0])
    assert found, ended
    return found[0], found["id"]


def read(installation: Installation, token: str) -> httpx2.Response:
    return installation.client.get("/wallets", headers={"Authorization": f"Bearer {token}"})


def listed(installation: Installation, token_id: str) -> dict[str, Any]:
    lines = installation.run("token", "list", "--json").stdout
    return next(found for line in lines if (found := json.loads(line))["id"] == token_id)


def test_a_token_is_made_listed_and_revoked_while_the_service_runs(installation: Installation) -> None:
    token, token_id = create(installation, "shop", "--scope", "atto:read", "--expires", "90d")
    assert read(installation, token).status_code == httpx2.codes.OK

    listed = installation.run("token", "list").stdout
    row = next(line for line in listed if token_id in line)
    assert [cell.strip() for cell in row.split("│")][1:4] == [token_id, "shop", "atto:read"]
    assert not any(token in line for line in listed)

    taken = installation.run("token", "create", "shop", "--scope", "atto:read")
    assert (taken.status, taken.stdout) == (1, [])
    assert "There is already a token named shop" in " ".join(taken.stderr)

    assert installation.run("token", "revoke", token_id).stdout == [f"revoked {token_id}"]
    refused = read(installation, token)
    assert (refused.status_code, refused.json()["message"]) == (401, "The API token was revoked")


def test_where_how_often_and_until_when_a_token_is_used_can_be_set(installation: Installation) -> None:
    options = ["--scope", "atto:read", "--for", "90d", "--network", "192.0.2.0/24", "--rate", "600/min"]
    token, token_id = create(installation, "branch", *options)
    assert read(installation, token).status_code == httpx2.codes.FORBIDDEN
    made = listed(installation, token_id)
    assert (made["networks"], made["rate"]) == (["192.0.2.0/24"], "600/min")

    ended = installation.run("token", "set", token_id, "--anywhere", "--for", "never", "--rate", "none")
    assert ended.status == 0
    assert any(token_id in line for line in ended.stdout)
    changed = listed(installation, token_id)
    assert (changed["networks"], changed["rate"], changed["expires_at_ms"]) == ([], None, None)
    assert read(installation, token).status_code == httpx2.codes.OK
    installation.run("token", "set", token_id, "--network", "127.0.0.0/8", "--network", "10.0.0.0/8")
    assert read(installation, token).status_code == httpx2.codes.OK
    assert listed(installation, token_id)["networks"] == ["10.0.0.0/8", "127.0.0.0/8"]


def test_the_old_secret_works_besides_for_as_long_as_was_said(installation: Installation) -> None:
    old, token_id = create(installation, "till", "--scope", "atto:read")
    rotated = installation.run("token", "rotate", token_id, "--overlap", "24h").stdout[0]
    assert [read(installation, each).status_code for each in (old, rotated)] == [200, 200]
    assert listed(installation, token_id)["earlier_secret_until_ms"] is not None
    last = installation.run("token", "rotate", token_id).stdout[0]
    assert [read(installation, each).status_code for each in (old, rotated, last)] == [401, 401, 200]
    assert listed(installation, token_id)["earlier_secret_until_ms"] is None


def test_the_last_use_is_shown_and_so_are_tokens_without_one(installation: Installation) -> None:
    token, token_id = create(installation, "counter", "--scope", "atto:read")
    assert read(installation, token).status_code == httpx2.codes.OK

    async def is_written() -> bool:
        return bool(listed(installation, token_id)["used_from"] == "127.0.0.1")

    asyncio.run(until_true(is_written))
    unused = installation.run("token", "list", "--unused", "1m", "--json")
    assert not any(token_id in line for line in unused.stdout)


@pytest.mark.parametrize(
    ("options", "status", "reason"),
    [
        ([], 1, "Say what of the token is to change"),
        (["--network", "10.0.0.1/8"], 1, "has host bits set"),
        (["--network", "10.0.0.0/8", "--anywhere"], 2, "give --network or --anywhere, not both"),
        (["--rate", "fast"], 1, "A rate looks like 60/min"),
        (["--for", "soon"], 2, "--for looks like 90d, 12h or 30m"),
        (["--rate", "none"], 1, "No active token has the id 0123456789abcdef"),
    ],
)
def test_a_wrong_change_is_refused(
    installation: Installation, options: list[str], status: int, reason: str
) -> None:
    ended = installation.run("token", "set", "0123456789abcdef", *options)
    assert (ended.status, ended.stdout) == (status, [])
    assert reason in " ".join(ended.stderr)


def test_whoever_makes_a_token_learns_which_database_it_is_in(installation: Installation) -> None:
    ended = installation.run("token", "create", "ledger", "--scope", "*")
    token_id = ended.stdout[0].split("_")[1]
    database = f"sqlite:///{installation.variables['STRONGROOM_DATA']}/atto.sqlite3"
    assert ended.stderr == [f"Keep it: it is not shown again. Its id is {token_id}, in {database}."]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--scope", "atto:spend"], "unknown scope atto:spend"),
        (["--scope", "*", "--expires", "5y"], "--for looks like 90d, 12h or 30m"),
        (["--scope", "*", "--expires", "0d"], "--for looks like 90d, 12h or 30m"),
        ([], "Missing option '--scope'"),
        (["--scope", "*", "--netuid", "5"], "limits are for --ledger bittensor: --netuid"),
        (["--scope", "*", "--ledger", "doge"], "the ledger is atto or hathor or bittensor"),
    ],
)
def test_a_wrong_option_is_refused_with_what_is_allowed(
    installation: Installation, options: list[str], reason: str
) -> None:
    ended = installation.run("token", "create", "shop", *options)
    assert ended.status == 2
    assert ended.stdout == []
    assert reason in " ".join(ended.stderr)


def test_revoking_an_unknown_token_says_so(installation: Installation) -> None:
    ended = installation.run("token", "revoke", "0123456789abcdef")
    assert (ended.status, ended.stderr) == (
        1,
        ["strongroom: No active token has the id 0123456789abcdef"],
    )


def test_a_token_of_bittensor_counts_in_the_service_that_runs(installation: Installation) -> None:
    made = installation.run("token", "create", "node", "--ledger", "bittensor", "--scope", "bittensor:read")
    url = f"http://127.0.0.1:{installation.variables['BITTENSOR_PORT']}/wallet/info?wallet_name=nobody"
    for token, status in ((made.stdout[0], httpx2.codes.NOT_FOUND), ("sr_x", httpx2.codes.UNAUTHORIZED)):
        answer = httpx2.get(url, headers={"Authorization": f"Bearer {token}"}, trust_env=False)
        assert answer.status_code == status


def test_what_narrows_the_tokens_of_a_ledger_is_named_where_it_has_limits_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def narrowed(*, daily_limit: str = "") -> str:
        return daily_limit

    monkeypatch.setattr(type(ATTO), "token_limits", lambda _: narrowed)
    words = "limits are for --ledger bittensor: --netuid; tokens of atto have scopes and --for and --network and --rate"
    words += " and --certificate and --daily-limit"
    with pytest.raises(typer.BadParameter, match=words):
        token_commands._limits("atto", {"netuid": 5, "daily_limit": ""})
