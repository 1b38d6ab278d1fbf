"""Which signatures a rule concerns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, reset_tzpath

import msgspec
import pytest

from strongroom.core.guard.evaluation import ActiveRule, is_open
from strongroom.core.guard.rule import Hours, Rule
from strongroom.core.security.policy import Payment, SignatureRequest, Term, Unsaid
from support.guarding import TRADER, request


def active(rule: Any, starts_at_ms: int = 0, ends_at_ms: int | None = None) -> ActiveRule:
    document = msgspec.convert(rule, Rule)
    return ActiveRule(id="1", name="rule", rule=document, starts_at_ms=starts_at_ms, ends_at_ms=ends_at_ms)


ASKED = request(facts={"netuid": 4, "call": "A.b"})


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        ({}, True),
        ({"principals": ["token:trader"]}, True),
        ({"principals": ["token:other"]}, False),
        ({"wallets": ["hot", "cold"]}, True),
        ({"wallets": ["cold"]}, False),
        ({"accounts": ["hot/0"]}, True),
        ({"accounts": ["hot/1"]}, False),
        ({"kinds": ["SEND"]}, True),
        ({"kinds": ["RECEIVE"]}, False),
        ({"facts": {"netuid": [3, 4]}}, True),
        ({"facts": {"netuid": [3]}}, False),
        ({"facts": {"netuid": [4], "call": ["A.c"]}}, False),
        ({"facts": {"absent": [4]}}, False),
        ({"destinations": ["shop"]}, True),
        ({"destinations": ["bank"]}, False),
        ({"networks": ["192.0.2.0/24"]}, True),
        ({"networks": ["198.51.100.0/24"]}, False),
        ({"wallets": ["hot"], "kinds": ["RECEIVE"]}, False),
    ],
)
def test_every_condition_must_hold(conditions: dict[str, Any], holds: bool) -> None:
    assert active({"effect": "deny", "when": conditions}).concerns(ASKED, 0) is holds
    exempt = active({"effect": "deny", "unless": conditions or {"wallets": ["hot"]}})
    assert exempt.concerns(ASKED, 0) is not holds


def test_a_rule_counts_from_its_start_until_before_its_end() -> None:
    rule = active({"effect": "allow"}, starts_at_ms=10, ends_at_ms=20)
    assert [rule.concerns(ASKED, now_ms) for now_ms in (9, 10, 19, 20)] == [False, True, True, False]


def test_a_rule_that_denies_counts_also_by_a_clock_that_is_behind() -> None:
    rule = active({"effect": "deny"}, starts_at_ms=10, ends_at_ms=20)
    assert [rule.concerns(ASKED, now_ms) for now_ms in (9, 10, 19, 20)] == [True, True, True, False]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToSeveral(SignatureRequest):
    to: Sequence[str]

    @property
    def payments(self) -> Sequence[Payment]:
        return [Payment(destination=each, amount_raw=1) for each in self.to]


def paying(*destinations: str) -> ToSeveral:
    return ToSeveral(
        principal=TRADER, scope="toy:send", account="a", kind="SEND", payload_hash=bytes(32), to=destinations
    )


@pytest.mark.parametrize(
    ("effect", "part", "paid", "concerned"),
    [
        ("deny", "when", ("shop", "thief"), True),  # one that is denied is enough
        ("deny", "unless", ("shop", "thief"), True),  # one that is no exception is enough
        ("deny", "unless", ("shop",), False),
        ("allow", "when", ("shop", "thief"), False),  # all must be allowed
        ("allow", "when", ("shop",), True),
        ("allow", "unless", ("shop", "thief"), False),  # one exception is enough
    ],
)
def test_a_payment_to_several_is_judged_by_the_worst_of_them(
    effect: str, part: str, paid: tuple[str, ...], concerned: bool
) -> None:
    rule = active({"effect": effect, part: {"destinations": ["shop"]}})
    assert rule.concerns(paying(*paid), 0) is concerned


def test_what_pays_nobody_is_not_denied_for_its_destination() -> None:
    asked = request(destination=None, amount_raw=0)
    assert not active({"effect": "deny", "when": {"destinations": ["shop"]}}).concerns(asked, 0)
    assert not active({"effect": "deny", "unless": {"destinations": ["shop"]}}).concerns(asked, 0)


def test_what_pays_nobody_is_not_allowed_for_its_destination() -> None:
    asked = request(destination=None, amount_raw=0, kind="CHANGE")
    assert not active({"effect": "allow", "when": {"destinations": ["shop"]}}).concerns(asked, 0)
    assert active({"effect": "allow", "unless": {"destinations": ["shop"]}}).concerns(asked, 0)


def test_what_does_not_say_what_it_takes_is_no_exception_for_its_destination() -> None:
    asked = request(destination=None, amount_raw=0, is_amount_known=False)
    rule = active({"effect": "deny", "unless": {"destinations": ["shop"]}})
    assert rule.concerns(asked, 0)
    assert not rule.concerns(request(destination="shop", amount_raw=0, is_amount_known=False), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class InSubnets(SignatureRequest):
    netuids: tuple[int, ...] | Unsaid

    @property
    def terms(self) -> Mapping[str, Term]:
        return {"netuid": self.netuids}


def in_subnets(netuids: tuple[int, ...] | Unsaid) -> InSubnets:
    return InSubnets(
        principal=TRADER, scope="toy:send", account="a", kind="SEND", payload_hash=bytes(32), netuids=netuids
    )


@pytest.mark.parametrize(
    ("effect", "part", "netuids", "concerned"),
    [
        ("deny", "when", (8, 1), True),  # the second of two is looked at as the first
        ("deny", "when", (1, 8), True),
        ("deny", "when", (8, 9), False),
        ("deny", "when", (), False),
        ("deny", "unless", (1, 8), True),
        ("deny", "unless", (1,), False),
        ("deny", "unless", (), True),
        ("deny", "when", Unsaid.ANY, True),  # it may be the one that is denied
        ("deny", "unless", Unsaid.ANY, True),
        ("allow", "when", Unsaid.ANY, False),
        ("allow", "unless", Unsaid.ANY, False),
        ("allow", "when", (1, 8), False),
        ("allow", "when", (1,), True),
        ("allow", "when", (), False),
        ("allow", "unless", (8, 1), False),
    ],
)
def test_of_several_values_of_a_fact_the_worst_counts(
    effect: str, part: str, netuids: tuple[int, ...] | Unsaid, concerned: bool
) -> None:
    rule = active({"effect": effect, part: {"facts": {"netuid": [1]}}})
    assert rule.concerns(in_subnets(netuids), 0) is concerned


@pytest.mark.parametrize(
    ("part", "netuids", "concerned"),
    [
        ("when", (1,), False),
        ("when", (1, 8), True),
        ("when", (8,), True),
        ("when", (), False),  # it names none, so no other either
        ("when", Unsaid.ANY, True),
        ("unless", (8, 9), False),
        ("unless", (1, 8), True),
        ("unless", (), True),
        ("unless", Unsaid.ANY, True),
    ],
)
def test_other_facts_are_those_that_are_not_in_the_list(
    part: str, netuids: tuple[int, ...] | Unsaid, concerned: bool
) -> None:
    rule = active({"effect": "deny", part: {"other_facts": {"netuid": [1, 2]}}})
    assert rule.concerns(in_subnets(netuids), 0) is concerned


@pytest.mark.parametrize(
    ("part", "netuids", "concerned"),
    [
        ("when", (4,), False),
        ("when", (5,), True),
        ("when", (4, 5), True),
        ("when", (), False),
        ("when", Unsaid.ANY, True),
        ("unless", (5, 6), False),
        ("unless", (4, 5), True),
        ("unless", Unsaid.ANY, True),
    ],
)
def test_a_number_above_a_bound(part: str, netuids: tuple[int, ...] | Unsaid, concerned: bool) -> None:
    rule = active({"effect": "deny", part: {"above": {"netuid": 4}}})
    assert rule.concerns(in_subnets(netuids), 0) is concerned


def test_a_text_is_above_nothing() -> None:
    assert not active({"effect": "deny", "when": {"above": {"call": 0}}}).concerns(ASKED, 0)
    assert not active({"effect": "deny", "when": {"above": {"absent": 0}}}).concerns(ASKED, 0)


def test_an_amount_to_nobody_who_is_named_is_in_no_list() -> None:
    asked = request(destination=None, amount_raw=7)
    assert active({"effect": "deny", "unless": {"destinations": ["shop"]}}).concerns(asked, 0)


def moment_ms(zone: str, *parts: int) -> int:
    return int(datetime(*parts, tzinfo=ZoneInfo(zone)).timestamp() * 1000)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("start", "end", "day", "hour", "minute", "is_in"),
    [
        ("09:00", "17:00", 7, 9, 0, True),  # 2026-12-07 is a Monday
        ("09:00", "17:00", 7, 8, 59, False),
        ("09:00", "17:00", 7, 16, 59, True),
        ("09:00", "17:00", 7, 17, 0, False),
        ("09:00", "17:00", 8, 10, 0, False),  # Tuesday
        ("22:00", "06:00", 7, 22, 0, True),
        ("22:00", "06:00", 8, 5, 59, True),  # Monday's night
        ("22:00", "06:00", 8, 6, 0, False),
        ("22:00", "06:00", 8, 23, 0, False),  # Tuesday's
        ("22:00", "06:00", 7, 5, 0, False),  # Sunday's
        ("00:00", "00:00", 7, 23, 59, True),  # the whole day
        ("00:00", "00:00", 8, 0, 0, False),
    ],
)
def test_hours_are_those_of_the_zone_and_belong_to_the_day_they_start_on(
    start: str, end: str, day: int, hour: int, minute: int, is_in: bool
) -> None:
    for zone in ("Africa/Lagos", "Asia/Tokyo", "America/New_York"):
        hours = Hours(zone=zone, days=("mon",), start=start, end=end)
        assert is_open(hours, moment_ms(zone, 2026, 12, day, hour, minute)) is is_in


def test_zones_are_known_where_the_system_has_none() -> None:
    """A replica that did not know a rule's zone could decide nothing."""
    reset_tzpath(to=[])
    try:
        noon = datetime(2026, 12, 7, 12, tzinfo=ZoneInfo.no_cache("Africa/Lagos"))
        assert noon.utcoffset() == timedelta(hours=1)
    finally:
        reset_tzpath()
