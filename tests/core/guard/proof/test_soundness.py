"""What is called impossible never happens: random rules, and random signatures through the real guard.

Whatever a sequence of signatures took within a stretch, no answer may call impossible; and each example of a "yes" takes more
than was asked about, within the stretch, and passes a guard that is made anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strongroom.core.guard.evaluation import ActiveRule
from strongroom.core.guard.guard import Default
from strongroom.core.guard.parsing import parse_rule
from strongroom.core.guard.proof.question import Answer, Proof, Question, prove
from strongroom.core.guard.proof.replay import Replay
from strongroom.core.guard.vocabulary import Payloads, Vocabulary
from strongroom.core.security.access import Principal
from strongroom.core.security.policy import Payment, SignatureRequest, Term
from support.guarding import document_of

NOW_MS = 1_790_000_000_000
LEDGERS = {
    "one destination": Payloads(pays_several=False, hides_amounts=False),
    "several": Payloads(hides_amounts=False),
    "hidden amounts": Payloads(pays_several=False),
}
PRINCIPALS = ["token:a", "token:b"]
WALLETS = ["hot", "cold"]
ACCOUNTS = ["x", "y"]
DESTINATIONS = ["bank", "shop", "thief"]
NETWORKS = ["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32"]
SPANS = [
    {"zone": "Africa/Lagos", "start": "09:00", "end": "17:00"},
    {"zone": "Asia/Tokyo", "start": "22:00", "end": "06:00", "days": ["mon", "wed", "sat"]},
]
NETUIDS = [1, 2, 11]


def some(values: Sequence[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)


CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "principals": some(PRINCIPALS),
        "wallets": some(WALLETS),
        "accounts": some(ACCOUNTS),
        "kinds": some(["SEND", "MINT"]),
        "destinations": some(DESTINATIONS),
        "networks": some(NETWORKS),
        "facts": st.fixed_dictionaries({"netuid": some(NETUIDS)}),
        "other_facts": st.fixed_dictionaries({"netuid": some(NETUIDS)}),
        "above": st.fixed_dictionaries({"netuid": st.sampled_from([0, 1, 10, 11])}),
        "hours": st.sampled_from(SPANS),
    },
).map(lambda parts: dict(list(parts.items())[:2]))
AT_ONCE = st.fixed_dictionaries({"amount_raw": st.integers(0, 30).map(str)})
WINDOWS = st.tuples(
    st.fixed_dictionaries(
        {
            "seconds": st.sampled_from([600, 1_000, 3_600, 21_600, 86_400]),
            "per": st.sampled_from(["rule", "wallet", "account", "principal", "destination"]),
        },
        optional={"asset": st.sampled_from(["", "ab"])},
    ),
    st.one_of(
        st.fixed_dictionaries({"amount_raw": st.integers(0, 40).map(str)}),
        st.fixed_dictionaries({"count": st.integers(0, 4)}),
        st.fixed_dictionaries({"amount_raw": st.integers(1, 40).map(str), "count": st.integers(1, 4)}),
    ),
).map(lambda parts: parts[0] | parts[1])


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    effect = draw(st.sampled_from(["deny", "deny", "deny", "allow", "approve"]))
    rule: dict[str, Any] = {"effect": effect, "when": draw(CONDITIONS)}
    if draw(st.booleans()) and (unless := draw(CONDITIONS)):
        rule["unless"] = unless
    if effect == "approve":
        rule["approvals"] = {"needed": 1}
    if effect != "allow" and draw(st.integers(0, 3)):
        rule["limit"] = draw(st.one_of(AT_ONCE, WINDOWS, WINDOWS))
    return rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature(SignatureRequest):
    """One that may pay several, and may name several values of a fact."""

    paid: tuple[Payment, ...]
    named: Term

    @property
    def payments(self) -> Sequence[Payment]:
        return self.paid

    @property
    def terms(self) -> dict[str, Term]:
        return {"netuid": self.named}


PAYMENTS = st.lists(
    st.builds(
        Payment,
        destination=st.sampled_from([*DESTINATIONS, "n1", "n2", None]),
        amount_raw=st.sampled_from([0, 1, 2, 5, 10, 20, 30, 40, 100]),
        asset=st.sampled_from(["", "", "", "ab"]),
    ),
    min_size=1,
    max_size=3,
)
SIGNATURES = st.builds(
    Signature,
    principal=st.builds(
        Principal,
        name=st.sampled_from([*PRINCIPALS, "token:c", "token:d"]),
        scopes=st.just(frozenset({"*"})),
        source=st.sampled_from(["", "10.2.3.4", "10.1.2.3", "192.0.2.1", "2001:db8:1::/64"]),
    ),
    scope=st.just("*"),
    account=st.sampled_from([*ACCOUNTS, "z", "z2"]),
    kind=st.sampled_from(["SEND", "MINT", "OTHER"]),
    payload_hash=st.just(bytes(32)),
    wallet=st.sampled_from(["hot", "hot", "hot", "cold"]),
    paid=PAYMENTS.map(tuple),
    named=st.sampled_from([None, 1, 2, 5, 11, 12, (1, 2), (1, 5), ()]),
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 1_000, 60_000, 600_000, 610_000, 3_600_000, 3_660_000, 20_000_000]), SIGNATURES
    ),
    max_size=40,
)


def fitted(signature: Signature, payloads: Payloads) -> Signature:
    """As this ledger could make it."""
    paid = signature.paid if payloads.pays_several else signature.paid[:1]
    return replace(signature, paid=paid)


def taken(request: SignatureRequest) -> int:
    return sum(one.amount_raw for one in request.payments if not one.asset)


def most_within(passed: Sequence[tuple[int, int]], seconds: int) -> int:
    """The most that left within any stretch."""
    return max(
        (
            sum(amount for at_ms, amount in passed if begin_ms <= at_ms < begin_ms + seconds * 1000)
            for begin_ms, _ in passed
        ),
        default=0,
    )


def check_example(proof: Proof, active: Sequence[ActiveRule], default: Default, question: Question) -> None:
    replay = Replay(active, default)
    try:
        assert all(replay.passes(step.request, step.at_ms) for step in proof.steps)
    finally:
        replay.close()
    assert all(step.request.wallet == question.wallet for step in proof.steps)
    assert proof.steps[-1].at_ms - proof.steps[0].at_ms < question.seconds * 1000
    if proof.signatures == len(proof.steps) and all(step.request.is_amount_known for step in proof.steps):
        assert sum(taken(step.request) for step in proof.steps) > question.more_than


@pytest.mark.timeout(240)
@pytest.mark.parametrize("ledger", LEDGERS)
def test_nothing_happens_that_is_called_impossible(ledger: str) -> None:
    _try_many(ledger, examples=40)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("ledger", LEDGERS)
def test_nothing_happens_that_is_called_impossible_in_very_many_cases(ledger: str) -> None:
    _try_many(ledger, examples=1_500)


def _try_many(ledger: str, *, examples: int) -> None:
    payloads = LEDGERS[ledger]
    vocabulary = Vocabulary(facts={"netuid": int}, asset_form="ab", payloads=payloads)

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        documents=st.lists(rules(), min_size=1, max_size=4),
        default=st.sampled_from([Default.ALLOW, Default.ALLOW, Default.DENY]),
        steps=STEPS,
        seconds=st.sampled_from([600, 3_600, 86_400]),
    )
    def check(
        documents: list[dict[str, Any]], default: Default, steps: list[tuple[int, Signature]], seconds: int
    ) -> None:
        active = [
            ActiveRule(
                id=f"{number:016}",
                name=f"rule {number}",
                rule=parse_rule(document_of(one), vocabulary),
                starts_at_ms=0,
                ends_at_ms=None,
            )
            for number, one in enumerate(documents)
        ]
        replay = Replay(active, default)
        passed = []
        at_ms = NOW_MS
        try:
            for later_ms, drawn in steps:
                at_ms += later_ms
                signature = fitted(drawn, payloads)
                if replay.passes(signature, at_ms) and signature.wallet == "hot":
                    passed.append((at_ms, taken(signature)))
        finally:
            replay.close()
        happened = most_within(passed, seconds)
        question = Question(
            wallet="hot", more_than=max(0, happened - 1), seconds=seconds, with_approvals=False
        )
        proof = prove(active, default, vocabulary, question, NOW_MS)
        if happened:
            assert proof.answer is not Answer.NO, proof
        if proof.answer is Answer.YES:
            check_example(proof, active, default, question)
        more = replace(question, more_than=3 * happened + 50, with_approvals=True)
        if (proof := prove(active, default, vocabulary, more, NOW_MS)).answer is Answer.YES:
            unasked = [one for one in active if one.rule.effect.value != "approve"]
            check_example(proof, unasked, default, more)

    check()
