"""`strongroom wallets` and `wallet` beside a running service."""

import json

import httpx2
import pytest

from commands.conftest import Installation


@pytest.fixture
def account(installation: Installation) -> str:
    """Of the new wallet `till`."""
    if installation.client.get("/wallets/till").status_code != httpx2.codes.OK:
        assert installation.client.post("/wallets/till").status_code == httpx2.codes.OK
    address: str = installation.client.post("/wallets/till/accounts").json()["address"]
    return address


def test_wallets_are_listed_and_found(installation: Installation, account: str) -> None:
    (found,) = map(json.loads, installation.run("wallets", "--search", "TILL", "--json").stdout)
    assert (found["ledger"], found["id"], found["keys"]) == ("atto", "till", "held")
    assert found["balances"][0]["availableRaw"] == "0"
    (same,) = map(json.loads, installation.run("wallets", "--search", account, "--json").stdout)
    assert same == found
    assert "till" in " ".join(installation.run("wallets").stdout)
    assert installation.run("wallets", "--ledger", "hathor", "--search", "till", "--json").stdout == []


def test_a_wallet_is_shown_with_its_accounts(installation: Installation, account: str) -> None:
    shown = " ".join(installation.run("wallet", "till", "--accounts", "--history").stdout)
    assert "0 ATTO" in shown
    assert account.rsplit("://", maxsplit=1)[-1] in shown
    ended = installation.run("wallet", "till", "--accounts", "--history", "--limit", "1", "--json")
    document = json.loads(ended.stdout[0])
    assert (len(document["accountList"]), document["history"]) == (1, [])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("wallet", "none"), "No ledger has a wallet 'none'"),
        (("wallets", "--ledger", "doge"), "the ledger is atto or hathor or bittensor"),
        (("wallets", "--limit", "0"), "Invalid value"),
    ],
)
def test_a_mistake_is_told(installation: Installation, arguments: tuple[str, ...], words: str) -> None:
    ended = installation.run(*arguments)
    assert ended.status != 0
    assert words in " ".join(" ".join(ended.stderr).split())
