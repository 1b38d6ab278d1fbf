"""`strongroom policy`, `freeze` and `unfreeze` beside a running service."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from commands.conftest import Ended, Installation


def called(name: str, listed: Ended) -> list[dict[str, Any]]:
    """Other tests' rules stand in the same installation."""
    return [rule for rule in map(json.loads, listed.stdout) if rule["name"] == name]


def test_a_rule_is_added_asked_listed_and_removed(installation: Installation, tmp_path: Path) -> None:
    document = tmp_path / "rule.json"
    rule = {"effect": "deny", "when": {"wallets": ["ruled"], "kinds": ["SEND"]}, "limit": {"amount_raw": "5"}}
    document.write_text(json.dumps(rule))
    assert installation.run("policy", "add", "small", str(document)).stdout == ["added small"]
    again = installation.run("policy", "add", "small", str(document))
    assert (again.status, again.stdout) == (1, [])
    assert "A rule is called 'small'" in " ".join(again.stderr)

    ask = ("policy", "test", "--kind", "SEND", "--wallet", "ruled", "--amount-raw")
    allowed = installation.run(*ask, "5")
    assert (allowed.status, allowed.stdout) == (0, ["allowed by default: no rule says otherwise"])
    refused = installation.run(*ask, "6")
    assert refused.status == 1
    assert refused.stdout == ["refused (rule_limit): The rule 'small' lets 5 raw pass at once, not 6"]

    (found,) = called("small", installation.run("policy", "list", "--json"))
    assert (found["state"], found["rule"]) == ("active", rule)
    assert installation.run("policy", "remove", "small").stdout == ["removed small"]
    assert called("small", installation.run("policy", "list", "--json")) == []
    (ended,) = called("small", installation.run("policy", "history", "--json"))
    assert ended["removed_by"].startswith("operator:")
    assert installation.run(*ask, "6").status == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("policy", "add", "x", "/nowhere"), "cannot be read"),
        (("policy", "remove", "nothing"), "No rule that could be removed is called 'nothing'"),
        (("policy", "list", "--ledger", "doge"), "the ledger is atto or hathor or bittensor"),
        (("policy", "test", "--kind", "SEND", "--amount-raw", "1.5"), "whole number"),
        (("policy", "test", "--kind", "SPEND"), "question.kinds SPEND is not signed here"),
        (("policy", "test", "--kind", "SEND", "--fact", "netuid=1"), "no fact is called 'netuid' here"),
        (("policy", "test", "--kind", "SEND", "--amount-raw", "²"), "whole number"),
        (("policy", "test", "--kind", "SEND", "--amount-raw", "9" * 5_000), "whole number"),
        (("freeze", "--reason", "x", "--token", "token:shop"), "without token:"),
        (("policy", "test", "--kind", "SEND", "--to", "nowhere"), "An address has 61 characters"),
        (("policy", "test", "--kind", "SEND", "--fact", "netuid"), "--fact looks like netuid=1"),
        (("freeze", "--reason", "x", "--wallet", "a", "--token", "b"), "--wallet or --token, not both"),
        (("unfreeze", "--ledger", "atto", "--wallet", "warm"), "It is not frozen"),
    ],
)
def test_a_mistake_is_told(installation: Installation, arguments: tuple[str, ...], words: str) -> None:
    ended = installation.run(*arguments)
    assert ended.status != 0
    assert words in " ".join(" ".join(ended.stderr).split())


@pytest.mark.parametrize("option", ["--wallet", "--token"])
def test_a_name_that_no_ledger_knows_is_frozen_only_on_demand(
    installation: Installation, option: str
) -> None:
    ended = installation.run("freeze", option, "nope", "--reason", "x")
    assert (ended.status, ended.stdout) == (1, [])
    assert ended.stderr == [
        f"{ledger}: not frozen: it has no {option[2:]} 'nope'. --anyway freezes the name all the same"
        for ledger in ("atto", "hathor", "bittensor")
    ]
    assert installation.run("policy", "freezes", "--json").stdout == []


def test_a_wallet_is_frozen_where_it_is(installation: Installation) -> None:
    assert installation.client.post("/wallets/Vault").is_success
    ended = installation.run("freeze", "--wallet", "vault", "--reason", "x")
    assert (ended.status, ended.stdout) == (1, [])
    ended = installation.run("freeze", "--wallet", "Vault", "--reason", "x")
    assert (ended.status, ended.stdout) == (0, ["atto: frozen"])
    assert len(ended.stderr) == 2
    assert installation.run("unfreeze", "--ledger", "atto", "--wallet", "Vault").status == 0


def test_what_is_frozen_is_listed(installation: Installation) -> None:
    ended = installation.run(
        "freeze",
        "--ledger",
        "atto",
        "--token",
        "shpo",
        "--reason",
        "it leaked",
        "--anyway",
        "--as",
        "operator:ann",
    )
    assert ended.stdout == ["atto: frozen"]
    installation.run("token", "create", "stall", "--ledger", "atto", "--scope", "atto:send")
    ended = installation.run(
        "freeze", "--ledger", "atto", "--token", "stall", "--reason", "it leaked too", "--as", "operator:ann"
    )
    assert ended.stdout == ["atto: frozen"]
    found = [json.loads(line) for line in installation.run("policy", "freezes", "--json").stdout]
    assert [(one["scope"], one["subject"], one["reason"], one["frozen_by"]) for one in found] == [
        ("token", "shpo", "it leaked", "operator:ann"),
        ("token", "stall", "it leaked too", "operator:ann"),
    ]
    assert "the token stall" in " ".join(installation.run("policy", "freezes").stdout)
    for name in ("shpo", "stall"):
        assert installation.run("unfreeze", "--ledger", "atto", "--token", name).status == 0
    assert installation.run("policy", "freezes", "--json").stdout == []


def test_everything_is_frozen_and_unfrozen_with_one_command(installation: Installation) -> None:
    ended = installation.run("freeze", "--reason", "a theft")
    assert ended.stdout == ["atto: frozen", "hathor: frozen", "bittensor: frozen"]
    twice = installation.run("freeze", "--ledger", "atto", "--reason", "a theft")
    assert (twice.status, twice.stderr) == (1, ["atto: not frozen: It is frozen already"])
    assert installation.run("unfreeze", "--ledger", "hathor").status == 0
    again = installation.run("freeze", "--reason", "a theft")
    assert (again.status, again.stdout) == (0, ["hathor: frozen"])
    assert again.stderr == [f"{name}: not frozen: It is frozen already" for name in ("atto", "bittensor")]
    assert installation.client.get("/wallets").status_code == httpx2.codes.OK
    asked = installation.run("policy", "test", "--kind", "SEND")
    assert asked.stdout == ["refused (frozen): Nothing is signed: the ledger is frozen (a theft)"]
    ended = installation.run("unfreeze")
    assert ended.stdout == ["atto: unfrozen", "hathor: unfrozen", "bittensor: unfrozen"]


def test_what_the_rules_promise_is_proved_or_shown(installation: Installation, tmp_path: Path) -> None:
    assert installation.client.post("/wallets/proved").is_success
    document = tmp_path / "day.json"
    rule = {
        "effect": "deny",
        "when": {"wallets": ["proved"]},
        "limit": {"amount_raw": "50", "seconds": 86_400},
    }
    document.write_text(json.dumps(rule))
    ask = ("policy", "prove", "--wallet", "proved", "--more-than")
    before = installation.run(*ask, "50")
    assert before.status == 1
    assert before.stdout[0] == "yes: The guard lets this pass:"
    assert "amountRaw 51" in " ".join(before.stdout)
    installation.run("policy", "add", "day of it", str(document))
    after = installation.run(*ask, "50")
    assert (after.status, after.stdout) == (0, ["no: The rules' limits together let no more pass."])
    shown = installation.run(*ask, "49", "--json")
    found = json.loads(" ".join(shown.stdout))
    assert (shown.status, found["answer"], found["example"][0]["amountRaw"]) == (1, "yes", "50")
    wrong = installation.run("policy", "prove", "--wallet", "porved", "--more-than", "50")
    assert wrong.status != 0
    assert "no wallet 'porved'" in " ".join(" ".join(wrong.stderr).split())
    installation.run("policy", "remove", "day of it")


def test_a_proof_without_its_solver_says_what_to_install(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nfound = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'z3' else found(name, package)\n"
    )
    ended = installation.run(
        *("policy", "prove", "--wallet", "x", "--more-than", "1"), variables={"PYTHONPATH": str(tmp_path)}
    )
    assert (ended.status, ended.stdout) == (2, [])
    assert "pip install 'strongroom[prove]'" in " ".join(ended.stderr)
