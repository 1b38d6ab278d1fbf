"""Documents of rules: what is read, and what is refused with a reason."""

import json
from typing import Any

import pytest

from strongroom.core.errors import InvalidInput
from strongroom.core.guard.parsing import parse_rule
from strongroom.core.guard.rule import Conditions, Effect, Limit, Per, Rule, encode_rule
from strongroom.core.guard.vocabulary import Vocabulary
from strongroom.core.ledger.contract import AnyLedger
from strongroom.registry import LEDGERS
from support.guarding import VOCABULARY


def parse(rule: Any) -> Rule:
    return parse_rule(json.dumps(rule), VOCABULARY)


def test_a_whole_rule_is_read_and_written_again() -> None:
    document = {
        "effect": "deny",
        "when": {
            "principals": ["token:trader"],
            "wallets": ["hot"],
            "accounts": ["hot/0"],
            "kinds": ["SEND"],
            "facts": {"netuid": [1, 2], "call": ["A.b"]},
            "other_facts": {"netuid": [3]},
            "above": {"netuid": 0},
            "destinations": ["shop"],
            "networks": ["192.0.2.0/24", "2001:db8::/32"],
            "hours": {"zone": "Africa/Lagos", "days": ["mon", "tue"], "start": "09:00", "end": "17:30"},
        },
        "unless": {"destinations": ["bank"]},
        "limit": {"amount_raw": str(2**256 - 1), "count": 3, "seconds": 86_400, "per": "wallet"},
        "note": "the hot wallet",
    }
    rule = parse(document)
    assert json.loads(encode_rule(rule)) == document
    assert rule.limit == Limit(amount_raw=str(2**256 - 1), count=3, seconds=86_400, per=Per.WALLET)
    assert parse_rule(encode_rule(rule), VOCABULARY) == rule


def test_a_rule_that_asks_is_read_and_written_again() -> None:
    document = {
        "effect": "approve",
        "limit": {"amount_raw": "5"},
        "approvals": {"needed": 2, "of": ["token:ann", "operator:ben", "operator"]},
    }
    assert json.loads(encode_rule(parse(document))) == document


@pytest.mark.parametrize("ledger", LEDGERS, ids=lambda ledger: ledger.name)
def test_every_ledger_knows_who_may_approve(ledger: AnyLedger) -> None:
    assert f"{ledger.name}:approve" in ledger.scopes()
    for name in ("token:ann", "operator", "operator:ann"):
        rule = {"effect": "approve", "approvals": {"needed": 1, "of": [name]}}
        assert parse_rule(json.dumps(rule), ledger.vocabulary()).approvals is not None
    for name in ("ann", "operator:", "operatorann"):
        rule = {"effect": "approve", "approvals": {"needed": 1, "of": [name]}}
        words = rf"approvals\.of nobody is called '{name}' here; callers are .*, operator, operator:NAME$"
        with pytest.raises(InvalidInput, match=words):
            parse_rule(json.dumps(rule), ledger.vocabulary())


def test_the_shortest_rule_concerns_everything() -> None:
    assert parse({"effect": "allow"}) == Rule(effect=Effect.ALLOW, when=Conditions())


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({}, "effect"),
        ({"effect": "perhaps"}, "perhaps"),
        ({"effect": "deny", "whn": {}}, "whn"),
        ({"effect": "deny", "when": {"wallet": ["hot"]}}, "wallet"),
        ({"effect": "deny", "when": {"wallets": []}}, "when.wallets is an empty list"),
        ({"effect": "deny", "when": {"kinds": ["SPEND"]}}, "when.kinds SPEND is not signed here"),
        ({"effect": "deny", "when": {"facts": {"subnet": [1]}}}, "no fact is called 'subnet'"),
        ({"effect": "deny", "when": {"facts": {"netuid": ["1"]}}}, "a list of whole numbers"),
        ({"effect": "deny", "when": {"facts": {"call": [1]}}}, "a list of texts"),
        ({"effect": "deny", "when": {"facts": {"call": []}}}, "at least one"),
        ({"effect": "deny", "when": {"facts": {}}}, "when.facts is empty"),
        ({"effect": "deny", "when": {"other_facts": {"subnet": [1]}}}, "no fact is called 'subnet'"),
        ({"effect": "deny", "when": {"other_facts": {"netuid": []}}}, "other_facts.netuid is a list"),
        ({"effect": "deny", "when": {"above": {}}}, "when.above is empty"),
        ({"effect": "deny", "when": {"above": {"subnet": 1}}}, "no fact is called 'subnet'"),
        ({"effect": "deny", "when": {"above": {"call": 1}}}, "above.call is for facts that are numbers"),
        ({"effect": "deny", "when": {"above": {"netuid": -1}}}, "above.netuid is for facts that are numbers"),
        ({"effect": "deny", "when": {"above": {"netuid": 1.5}}}, "above"),
        ({"effect": "deny", "unless": {}}, "unless is empty"),
        ({"effect": "deny", "when": {"networks": ["192.0.2.1/24"]}}, "has host bits set"),
        ({"effect": "deny", "when": {"hours": {"zone": "Mars/Base"}}}, "no time zone is called 'Mars/Base'"),
        ({"effect": "deny", "when": {"hours": {"zone": "../etc"}}}, "no time zone is called"),
        ({"effect": "deny", "when": {"hours": {"zone": "UTC", "days": ["monday"]}}}, "days are some of"),
        ({"effect": "deny", "when": {"hours": {"zone": "UTC", "days": []}}}, "days are some of"),
        ({"effect": "deny", "when": {"hours": {"zone": "UTC", "start": "9:00"}}}, "looks like 09:30"),
        ({"effect": "deny", "when": {"hours": {"zone": "UTC", "end": "24:00"}}}, "looks like 09:30"),
        ({"effect": "deny", "when": {"networks": ["2001:db8::/96"]}}, "a whole /64"),
        ({"effect": "deny", "when": {"networks": ["::ffff:192.0.2.0/120"]}}, "a network of IPv4"),
        ({"effect": "deny", "limit": {"amount_raw": "0" * 5_000}}, "whole number from 0 to 2^256-1"),
        ({"effect": "deny", "limit": {"amount_raw": "1", "asset": "00"}}, "'00' is no asset here"),
        ({"effect": "deny", "limit": {"count": 1, "secs": 60}}, "secs"),
        ({"effect": "deny", "when": {"hours": {"zone": "UTC", "from": "09:00"}}}, "from"),
        ({"effect": "deny", "limit": {}}, "says neither amount_raw nor count"),
        ({"effect": "deny", "limit": {"amount_raw": "-1"}}, "whole number from 0 to 2^256-1"),
        ({"effect": "deny", "limit": {"amount_raw": "1.5"}}, "whole number from 0 to 2^256-1"),
        ({"effect": "deny", "limit": {"amount_raw": "٣"}}, "whole number from 0 to 2^256-1"),
        ({"effect": "deny", "limit": {"amount_raw": str(2**256)}}, "whole number from 0 to 2^256-1"),
        ({"effect": "deny", "limit": {"amount_raw": 5}}, "amount_raw"),
        ({"effect": "deny", "limit": {"count": 1}}, "needs seconds"),
        ({"effect": "deny", "limit": {"count": -1, "seconds": 1}}, "count is 0 or more"),
        ({"effect": "deny", "limit": {"count": 1, "seconds": 0}}, "seconds is from 1"),
        ({"effect": "deny", "limit": {"amount_raw": "1", "per": "wallet"}}, "per needs seconds"),
        ({"effect": "allow", "limit": {"amount_raw": "1"}}, "only a rule that denies or asks"),
        ({"effect": "approve"}, 'approvals belongs to the effect "approve"'),
        ({"effect": "deny", "approvals": {"needed": 1}}, "approvals belongs to the effect"),
        ({"effect": "approve", "approvals": {}}, "needed"),
        ({"effect": "approve", "approvals": {"needed": 0}}, "approvals.needed is from 1 to 100"),
        ({"effect": "approve", "approvals": {"needed": 101}}, "approvals.needed is from 1 to 100"),
        ({"effect": "approve", "approvals": {"needed": 2, "of": ["token:a"]}}, "as many principals as"),
        ({"effect": "approve", "approvals": {"needed": 1, "of": []}}, "as many principals as"),
        (
            {"effect": "approve", "approvals": {"needed": 1, "of": ["token:a", "token:a"]}},
            "each of them once",
        ),
        ({"effect": "approve", "approvals": {"needed": 1, "of": ["anonymous"]}}, "nobody who could answer"),
        ({"effect": "approve", "approvals": {"needed": 1, "of": ["system:x"]}}, "nobody who could answer"),
        (
            {"effect": "approve", "approvals": {"needed": 1}, "when": {"principals": ["system:x"]}},
            "waits for nobody's approval",
        ),
    ],
)
def test_a_document_that_is_no_rule_is_refused_with_the_place(rule: Any, words: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse(rule)
    assert words in raised.value.message
    assert raised.value.instance_code == "rule_invalid"


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "[" * 100_000, '{"effect":"deny","note":"' + "x" * 70_000 + '"}']
)
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_rule(text, VOCABULARY)


@pytest.mark.parametrize(
    ("ledger", "rule", "words"),
    [
        ("atto", {"when": {"principals": ["shop"]}}, "nobody is called 'shop' here; callers are token:NAME"),
        ("atto", {"when": {"principals": ["token:"]}}, "nobody is called 'token:' here"),
        ("atto", {"unless": {"principals": ["wallet:x"]}}, "unless.principals nobody is called 'wallet:x'"),
        ("atto", {"limit": {"amount_raw": "1", "asset": "ATTO"}}, "limit.asset 'ATTO' is no asset here"),
        ("hathor", {"limit": {"amount_raw": "1", "asset": "HTR"}}, "limit.asset 'HTR' is no asset here"),
        ("hathor", {"when": {"accounts": ["HKT1xUpSc3PK1gGyx34YnMpHxoPGYfW4Au"]}}, "is no id of a wallet"),
        ("hathor", {"when": {"destinations": ["HKT1xUpSc3PK1gGyx34YnMpHxoPGYfW4Aa"]}}, "when.destinations"),
        ("hathor", {"when": {"destinations": ["00" * 31]}}, "when.destinations"),
        ("bittensor", {"when": {"kinds": ["set_weights"]}}, "when.kinds 'set_weights' is no word"),
        ("bittensor", {"when": {"kinds": ["message:dendrit"]}}, "when.kinds 'message:dendrit' is no word"),
        ("bittensor", {"when": {"facts": {"call": ["set_weights"]}}}, "when.facts.call 'set_weights'"),
        ("bittensor", {"when": {"facts": {"call": ["balances.transfer_all"]}}}, "is no word of this ledger"),
        ("bittensor", {"when": {"kinds": ["subtensorModule.set_weights"]}}, "is no word of this ledger"),
        (
            "bittensor",
            {"when": {"facts": {"hotkey": ["5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"]}}},
            "hotkey",
        ),
        ("bittensor", {"when": {"facts": {"hotkey_address": ["default"]}}}, "when.facts.hotkey_address"),
        ("bittensor", {"when": {"facts": {"key": ["cold"]}}}, "when.facts.key 'cold'"),
        ("bittensor", {"when": {"above": {"largest": 1}}}, "no fact is called 'largest'"),
        ("bittensor", {"when": {"above": {"hotkey": 1}}}, "above.hotkey is for facts that are numbers"),
        ("bittensor", {"when": {"principals": ["service_token"]}}, "nobody is called 'service_token'"),
    ],
)
def test_what_would_never_be_met_is_refused(ledger: str, rule: dict[str, Any], words: str) -> None:
    (definition,) = (one for one in LEDGERS if one.name == ledger)
    with pytest.raises(InvalidInput) as raised:
        parse_rule(json.dumps({"effect": "deny"} | rule), definition.vocabulary())
    assert words in raised.value.message


@pytest.mark.parametrize(
    ("ledger", "rule"),
    [
        ("atto", {"when": {"principals": ["token:shop", "anonymous", "system:atto-receiver"]}}),
        ("hathor", {"when": {"principals": ["wallet:x", "token:shop", "anonymous"]}}),
        ("hathor", {"limit": {"amount_raw": "1", "asset": "ab" * 32}}),
        ("hathor", {"when": {"destinations": ["HKT1xUpSc3PK1gGyx34YnMpHxoPGYfW4Au", "ab" * 32]}}),
        ("bittensor", {"when": {"kinds": ["SubtensorModule.set_weights", "message:dendrite"]}}),
        ("bittensor", {"when": {"principals": ["token:a", "service-token", "jwt:a", "jwt"]}}),
    ],
)
def test_the_words_of_a_ledger_are_taken(ledger: str, rule: dict[str, Any]) -> None:
    (definition,) = (one for one in LEDGERS if one.name == ledger)
    parse_rule(json.dumps({"effect": "deny"} | rule), definition.vocabulary())


def test_a_part_that_stands_there_twice_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'wallets' stands there twice"):
        parse_rule('{"effect":"deny","when":{"wallets":["cold"],"wallets":["hot"]}}', VOCABULARY)


def test_addresses_take_the_form_that_signatures_have() -> None:
    def short(address: str) -> str:
        if not address.startswith("toy:"):
            raise ValueError(f"{address} is no address")
        return address.removeprefix("toy:")

    words = Vocabulary(normalized_destination=short, normalized_account=short)
    text = '{"effect":"deny","when":{"accounts":["toy:me"]},"unless":{"destinations":["toy:shop"]}}'
    rule = parse_rule(text, words)
    assert rule.when.accounts == ("me",)
    assert rule.unless is not None
    assert rule.unless.destinations == ("shop",)
    with pytest.raises(InvalidInput, match="me is no address"):
        parse_rule('{"effect":"deny","when":{"accounts":["me"]}}', words)
