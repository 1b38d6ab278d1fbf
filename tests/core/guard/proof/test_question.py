"""Answers about rules that people write: each "yes" is what the guard let pass, each "no" what it never does."""

from dataclasses import replace
from typing import Any

import pytest

from strongroom.core.guard.evaluation import ActiveRule
from strongroom.core.guard.guard import Default
from strongroom.core.guard.parsing import parse_rule
from strongroom.core.guard.proof import courses
from strongroom.core.guard.proof.question import DAY_S, Answer, Proof, Question, prove
from strongroom.core.guard.rule import Rule
from strongroom.core.guard.vocabulary import Payloads, Vocabulary
from support.guarding import document_of

PLAIN = Vocabulary(
    kinds=frozenset({"SEND", "RECEIVE"}),
    facts={"netuid": int, "call": str},
    payloads=Payloads(paying_kinds="SEND", pays_several=False, hides_amounts=False),
)
SEVERAL = Vocabulary(payloads=Payloads(hides_amounts=False))
HIDING = Vocabulary(payloads=Payloads(pays_several=False))
NOW_MS = 1_790_000_000_000
HOUR_S = 3_600


def active(*rules: dict[str, Any], vocabulary: Vocabulary = PLAIN) -> list[ActiveRule]:
    return [
        ActiveRule(
            id=f"{number:016}",
            name=f"rule {number}",
            rule=parsed(one, vocabulary),
            starts_at_ms=0,
            ends_at_ms=None,
        )
        for number, one in enumerate(rules)
    ]


def parsed(rule: dict[str, Any], vocabulary: Vocabulary) -> Rule:
    return parse_rule(document_of(rule), vocabulary)


def answer(
    *rules: dict[str, Any],
    more_than: int = 100,
    default: Default = Default.ALLOW,
    vocabulary: Vocabulary = PLAIN,
    **parts: Any,
) -> Proof:
    question = Question(wallet="hot", more_than=more_than, **parts)
    return prove(active(*rules, vocabulary=vocabulary), default, vocabulary, question, NOW_MS)


def deny(limit: dict[str, Any] | None = None, **parts: Any) -> dict[str, Any]:
    return {"effect": "deny", **parts, **({} if limit is None else {"limit": limit})}


def day(amount: int, **parts: Any) -> dict[str, Any]:
    return {"amount_raw": str(amount), "seconds": DAY_S, **parts}


def test_without_rules_everything_may_leave() -> None:
    proof = answer()
    assert proof.answer is Answer.YES
    (step,) = proof.steps
    assert step.request.amount_raw == 101


def test_nothing_leaves_where_nothing_is_allowed() -> None:
    assert answer(default=Default.DENY).answer is Answer.NO
    assert answer(deny(when={"wallets": ["hot"]}), more_than=0).answer is Answer.NO
    assert answer(deny(when={"kinds": ["SEND"]}), more_than=0).answer is Answer.NO


@pytest.mark.parametrize("per", ["rule", "wallet"])
def test_a_window_of_the_wallet_bounds_it(per: str) -> None:
    rule = deny(day(100, per=per))
    assert answer(rule).answer is Answer.NO
    proof = answer(rule, more_than=99)
    assert proof.answer is Answer.YES
    assert sum(step.request.amount_raw for step in proof.steps) == 100
    assert answer(deny(day(100, per=per), when={"wallets": ["cold"]})).answer is Answer.YES


@pytest.mark.parametrize("per", ["account", "destination", "principal"])
def test_a_window_for_each_name_bounds_nothing_where_names_are_free(per: str) -> None:
    proof = answer(deny(day(10, per=per)), more_than=1_000)
    assert proof.answer is Answer.YES
    assert proof.signatures == 101
    assert {step.request.amount_raw for step in proof.steps} == {10}


def test_a_window_for_each_destination_bounds_a_list_of_them() -> None:
    alone = deny(unless={"destinations": ["bank", "shop"]})
    each = deny(day(10, per="destination"))
    assert answer(alone, each, more_than=20).answer is Answer.NO
    proof = answer(alone, each, more_than=19)
    assert proof.answer is Answer.YES
    assert {step.request.destination for step in proof.steps} == {"bank", "shop"}


def test_a_limit_at_once_bounds_nothing_alone_and_much_with_a_count() -> None:
    once = deny({"amount_raw": "30"})
    proof = answer(once)
    assert (proof.answer, proof.signatures) == (Answer.YES, 4)
    long = answer(once, more_than=10**9)
    assert (long.answer, long.signatures) == (Answer.YES, 10**9 // 30 + 1)
    counted = deny({"count": 3, "seconds": DAY_S})
    assert answer(once, counted, more_than=90).answer is Answer.NO
    assert answer(once, counted, more_than=89).answer is Answer.YES


def test_an_hour_s_window_fits_twenty_four_times_into_a_day() -> None:
    rule = deny({"amount_raw": "10", "seconds": HOUR_S})
    assert answer(rule, more_than=240).answer is Answer.NO
    proof = answer(rule, more_than=239)
    assert proof.answer is Answer.YES
    assert proof.steps[-1].at_ms - proof.steps[0].at_ms < DAY_S * 1000


def test_a_window_that_is_longer_than_the_stretch_bounds_it() -> None:
    rule = deny(day(10))
    assert answer(rule, more_than=10, seconds=60).answer is Answer.NO
    assert answer(rule, more_than=10, seconds=2 * DAY_S).answer is Answer.YES
    assert answer(rule, more_than=20, seconds=2 * DAY_S).answer is Answer.NO


def test_an_exception_is_a_way_out() -> None:
    rule = deny(day(10), unless={"principals": ["token:boss"]})
    proof = answer(rule)
    assert proof.answer is Answer.YES
    assert proof.steps[0].request.principal.name == "token:boss"
    closed = deny(when={"principals": ["token:boss"]})
    assert answer(rule, closed).answer is Answer.NO


def test_networks_facts_and_kinds_are_told_apart() -> None:
    home = deny(unless={"networks": ["10.0.0.0/8"]})
    guest = deny(when={"networks": ["10.1.0.0/16"]}, limit=day(5))
    proof = answer(home, guest)
    assert proof.answer is Answer.YES
    assert proof.steps[0].request.principal.source.startswith("10.")
    away = deny(when={"networks": ["10.0.0.0/8"]})
    assert answer(home, away, more_than=0).answer is Answer.NO
    subnets = deny(unless={"facts": {"netuid": [1, 2]}})
    assert answer(subnets, deny(when={"facts": {"netuid": [1, 2]}}), more_than=0).answer is Answer.NO
    proof = answer(subnets, deny(when={"facts": {"netuid": [1]}}))
    assert proof.steps[0].request.facts["netuid"] == 2


def test_a_number_between_two_bounds_is_found() -> None:
    low = deny(unless={"above": {"netuid": 10}})
    high = deny(when={"above": {"netuid": 20}})
    listed = deny(when={"facts": {"netuid": [11, 12, 20]}})
    proof = answer(low, high, listed)
    assert proof.answer is Answer.YES
    assert proof.steps[0].request.facts["netuid"] == 13


def test_what_is_allowed_alone_is_counted_alone() -> None:
    allowed = {"effect": "allow", "when": {"principals": ["token:agent"], "destinations": ["shop"]}}
    limit = deny({"amount_raw": "7", "count": 5, "seconds": DAY_S}, when={"principals": ["token:agent"]})
    assert answer(allowed, limit, more_than=7, default=Default.DENY).answer is Answer.NO
    assert answer(allowed, limit, more_than=6, default=Default.DENY).answer is Answer.YES
    assert answer(allowed, limit, more_than=7).answer is Answer.YES


def test_hours_are_looked_at_as_they_come() -> None:
    office = {"zone": "Africa/Lagos", "days": ["mon"], "start": "09:00", "end": "17:00"}
    rule = deny(unless={"hours": office})
    proof = answer(rule, more_than=1)
    assert proof.answer is Answer.YES
    night = {**office, "start": "18:00", "end": "20:00"}
    both = [rule, deny(when={"hours": office})]
    assert answer(*both, more_than=0).answer is Answer.NO
    # That the two spans never meet is so in the coming days; for ever, nobody has shown.
    apart = [rule, deny(unless={"hours": night})]
    assert answer(*apart, more_than=0).answer is Answer.UNKNOWN


def test_a_call_that_hides_its_amount_takes_any() -> None:
    proof = answer(deny({"count": 1, "seconds": DAY_S}), vocabulary=HIDING, more_than=10**30)
    assert proof.answer is Answer.YES
    assert answer(deny(day(10)), vocabulary=HIDING, more_than=10).answer is Answer.NO


def test_a_payment_to_several_counts_once_and_pays_each() -> None:
    """The model lets one signature pay several destinations; the example of the guard pays one each."""
    alone = deny(unless={"destinations": ["bank", "shop"]})
    once = deny({"count": 1, "seconds": DAY_S})
    each = deny(day(10, per="destination"))
    assert answer(alone, once, each, vocabulary=SEVERAL, more_than=20).answer is Answer.NO
    assert answer(alone, once, each, vocabulary=SEVERAL, more_than=15).answer is Answer.UNKNOWN
    assert answer(alone, once, each, more_than=15).answer is Answer.NO


def test_people_who_approve_let_pass_what_they_are_asked_for() -> None:
    rule = {"effect": "approve", "approvals": {"needed": 2}, "limit": day(10)}
    assert answer(rule).answer is Answer.YES
    assert answer(rule, more_than=10, with_approvals=False).answer is Answer.NO
    assert answer(rule, more_than=9, with_approvals=False).answer is Answer.YES


def test_a_rule_that_ends_bounds_nothing_for_ever() -> None:
    (rule,) = active(deny(day(10)))
    ending = ActiveRule(
        id=rule.id, name=rule.name, rule=rule.rule, starts_at_ms=0, ends_at_ms=NOW_MS + DAY_S * 1000
    )
    question = Question(wallet="hot", more_than=10)
    proof = prove([ending], Default.ALLOW, PLAIN, question, NOW_MS)
    assert proof.answer is Answer.YES
    assert proof.steps[0].at_ms >= NOW_MS + DAY_S * 1000


def test_other_assets_are_not_counted() -> None:
    coin = Vocabulary(asset_form="[a-f]{2}", payloads=Payloads(pays_several=False, hides_amounts=False))
    rule = deny(day(10, asset="ab"))
    assert answer(rule, vocabulary=coin).answer is Answer.YES
    assert answer(deny(day(10)), vocabulary=coin).answer is Answer.NO


def test_a_name_like_the_marks_of_the_proof_is_not_decided() -> None:
    assert answer(deny(when={"accounts": ["?1"]})).answer is Answer.UNKNOWN


def test_an_example_that_is_too_long_to_try_is_not_a_yes() -> None:
    rules = deny({"amount_raw": "1"}), deny(day(10**6))
    assert answer(*rules, more_than=10**5).answer is Answer.UNKNOWN
    assert answer(*rules, more_than=10**6).answer is Answer.NO


def test_cases_that_are_too_many_are_not_even_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """These would be more than any machine can hold."""
    many = [*range(1_000)]
    words = replace(PLAIN, facts=dict.fromkeys("abcd", int))
    whole = {"facts": dict.fromkeys("abcd", many)}
    proof = answer(deny(when=whole), vocabulary=words)
    assert (proof.answer, proof.why) == (
        Answer.UNKNOWN,
        f"The rules tell more than {courses.MAX_COURSES} cases apart",
    )
    rule = deny(when={"facts": {"netuid": [1, 2]}})
    # The shop or not; no fact, 1, 2, below them and above them; no address, one of IPv4, one of IPv6.
    cases = 2 * 5 * 3
    named = deny(when={"destinations": ["shop"]})
    for limit, expected in ((cases, Answer.YES), (cases - 1, Answer.UNKNOWN)):
        monkeypatch.setattr(courses, "MAX_COURSES", limit)
        assert answer(rule, named).answer is expected
