import re

import httpx2
import pytest
import typer

from commands.conftest import Installation
from strongroom.atto.definition import LEDGER as ATTO
from strongroom.commands import token as token_commands

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


def test_whoever_makes_a_token_learns_which_database_it_is_in(installation: Installation) -> None:
    ended = installation.run("token", "create", "ledger", "--scope", "*")
    token_id = ended.stdout[0].split("_")[1]
    database = f"sqlite:///{installation.variables['STRONGROOM_DATA']}/atto.sqlite3"
    assert ended.stderr == [f"Keep it: it is not shown again. Its id is {token_id}, in {database}."]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--scope", "atto:spend"], "unknown scope atto:spend"),
        (["--scope", "*", "--expires", "5y"], "--expires looks like 90d, 12h or 30m"),
        (["--scope", "*", "--expires", "0d"], "--expires looks like 90d, 12h or 30m"),
        ([], "Missing option '--scope'"),
        (["--scope", "*", "--rate", "5"], "limits are for --ledger bittensor: --rate"),
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
    words = "limits are for --ledger bittensor: --rate; tokens of atto have scopes and --expires and --daily-limit"
    with pytest.raises(typer.BadParameter, match=words):
        token_commands._limits("atto", {"rate": 5, "daily_limit": ""})
