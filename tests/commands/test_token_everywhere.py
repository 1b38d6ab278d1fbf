"""`strongroom token ... --ledger all`: one token that administers every ledger, also when one was away at first."""

from typing import Any

import httpx2

from commands.conftest import Ended, Installation
from support.ports import free_port

ALL = ["atto", "hathor", "bittensor"]


def governed(installation: Installation, secret: str) -> list[str]:
    """The ledgers over which the token has authority."""
    answer = httpx2.get(
        f"http://127.0.0.1:{installation.variables['CONSOLE_PORT']}/admin/v1/me",
        headers={"Authorization": f"Bearer {secret}"},
        trust_env=False,
        timeout=30,
    )
    if answer.status_code == httpx2.codes.UNAUTHORIZED:
        return []
    found: dict[str, Any] = answer.json()
    return [one["ledger"] for one in found["ledgers"]]


def create(installation: Installation, name: str, **variables: str) -> Ended:
    arguments = ("token", "create", name, "--scope", "admin:read", "--ledger", "all")
    return installation.run(*arguments, variables=variables)


def test_one_token_governs_every_ledger_until_it_is_revoked(installation: Installation) -> None:
    ended = create(installation, "everywhere")
    assert ended.status == 0, ended
    (secret,) = ended.stdout
    token_id = secret.split("_")[1]
    assert ended.stderr[1:] == [f"{ledger}: created" for ledger in ALL]
    assert governed(installation, secret) == ALL

    rotated = installation.run("token", "rotate", token_id, "--ledger", "all", "--overlap", "1h")
    assert governed(installation, rotated.stdout[0]) == governed(installation, secret) == ALL
    installation.run("token", "revoke", token_id, "--ledger", "hathor")
    assert governed(installation, secret) == ["atto", "bittensor"]
    revoked = installation.run("token", "revoke", token_id, "--ledger", "all")
    assert revoked.status == 0
    assert f"hathor: No active token has the id {token_id}" in revoked.stderr
    assert governed(installation, secret) == []
    again = installation.run("token", "revoke", token_id, "--ledger", "all")
    assert again.status == 1


def test_a_ledger_that_was_away_gets_the_token_later(installation: Installation) -> None:
    away = {"BITTENSOR_DB_HOST": "127.0.0.1", "BITTENSOR_DB_PORT": str(free_port())}
    ended = create(installation, "later", **away)
    (secret,) = ended.stdout
    token_id = secret.split("_")[1]
    assert ended.status == 1
    assert [line for line in ended.stderr if line.startswith("bittensor: not created: ")]
    assert ended.stderr[-1] == f"later: strongroom token copy {token_id} --from atto"
    assert governed(installation, secret) == ["atto", "hathor"]

    copied = installation.run("token", "copy", token_id, "--from", "atto")
    assert (copied.status, copied.stdout[-1]) == (0, "bittensor: copied")
    assert copied.stdout[0].startswith("hathor: nothing to do")
    assert governed(installation, secret) == ALL


def test_what_signs_is_on_one_ledger_alone(installation: Installation) -> None:
    wallets = installation.run("token", "create", "x", "--scope", "atto:send", "--ledger", "all")
    assert wallets.status == 2
    assert "on all ledgers a token has scopes" in " ".join(" ".join(wallets.stderr).split())
    secret = installation.run("token", "create", "one ledger's", "--scope", "atto:read").stdout[0]
    copied = installation.run("token", "copy", secret.split("_")[1], "--from", "atto", "--ledger", "hathor")
    assert copied.status == 1
    assert "Only tokens of the admin API" in " ".join(copied.stderr)
    unknown = installation.run("token", "copy", "0123456789abcdef", "--from", "atto")
    assert unknown.status == 1
