"""Reads a rule that somebody wrote, and refuses what a ledger's signatures could never meet, with its place."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from strongroom.core.errors import InvalidInput
from strongroom.core.guard.rule import (
    DAYS,
    MAX_AMOUNT,
    MAX_APPROVALS,
    MAX_WINDOW_S,
    SERVICE,
    Conditions,
    Effect,
    Facts,
    Hours,
    Limit,
    Per,
    Rule,
)
from strongroom.core.guard.vocabulary import Normalize, Vocabulary
from strongroom.core.json_decoder import decode_json
from strongroom.core.security.access import ANONYMOUS, OPERATOR
from strongroom.core.security.networks import parse_network

MAX_DOCUMENT: Final = 64 * 1024
MAX_NAME: Final = 100
CODE: Final = "rule_invalid"
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_AMOUNT = re.compile(f"[0-9]{{1,{len(str(MAX_AMOUNT))}}}")  # Python reads no number of thousands of digits


def parse_rule(text: str | bytes, vocabulary: Vocabulary) -> Rule:
    """Raises: InvalidInput: with what is wrong and where."""
    if len(text) > MAX_DOCUMENT:
        raise InvalidInput(f"A rule has at most {MAX_DOCUMENT} bytes", code=CODE)
    try:
        rule = decode_json(text, Rule)
        json.loads(text, object_pairs_hook=_once)  # noqa: TID251 - its depth was checked
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"The rule cannot be read: {error}", code=CODE) from None
    if rule.effect is Effect.ALLOW and rule.limit is not None:
        raise _wrong("limit", "only a rule that denies or asks for approvals has a limit")
    if rule.unless is not None and rule.unless.is_empty:
        raise _wrong("unless", "is empty, so the rule would never concern anything")
    _check_approvals(rule, vocabulary)
    if rule.limit is not None:
        _check_limit(rule.limit, vocabulary)
    unless = None if rule.unless is None else _checked("unless", rule.unless, vocabulary)
    return msgspec.structs.replace(rule, when=_checked("when", rule.when, vocabulary), unless=unless)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a name that is there twice, the last one would count, and people read the first.

    Raises:
        InvalidInput: a name is there twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _wrong(repr(twice), "stands there twice")
    return found


def is_amount(text: str) -> bool:
    return _AMOUNT.fullmatch(text) is not None and int(text) <= MAX_AMOUNT


def check_name(name: str) -> None:
    """Raises: InvalidInput."""
    if not name or len(name) > MAX_NAME or not name.isprintable() or name != name.strip():
        raise InvalidInput(f"A rule's name has 1 to {MAX_NAME} printable characters", code=CODE)


def check_words(kind: str, facts: Mapping[str, str | int | None], vocabulary: Vocabulary) -> None:
    """Checks the words of a question, which no rule could meet otherwise. Raises: InvalidInput."""
    values: dict[str, tuple[str | int, ...]] = {
        name: (value,) for name, value in facts.items() if value is not None
    }
    _checked("question", Conditions(kinds=(kind,), facts=values or None), vocabulary)


def _checked(where: str, conditions: Conditions, vocabulary: Vocabulary) -> Conditions:
    """The conditions with addresses in the form of signatures."""
    lists = {
        name: getattr(conditions, name)
        for name in ("principals", "wallets", "accounts", "kinds", "destinations", "networks")
    }
    for name, values in lists.items():
        if values is not None and not values:
            raise _wrong(
                f"{where}.{name}", "is an empty list: it would hold for nothing. Leave it out, or fill it"
            )
    for principal in conditions.principals or ():
        _check_principal(f"{where}.principals", principal, vocabulary.principals)
    if vocabulary.kinds is not None and (unknown := {*(conditions.kinds or ())} - vocabulary.kinds):
        known = ", ".join(sorted(vocabulary.kinds))
        raise _wrong(f"{where}.kinds", f"{', '.join(sorted(unknown))} is not signed here; there is {known}")
    _check_forms(f"{where}.kinds", conditions.kinds or (), vocabulary.kind_form)
    facts = _checked_facts(f"{where}.facts", conditions.facts, vocabulary)
    others = _checked_facts(f"{where}.other_facts", conditions.other_facts, vocabulary)
    _check_bounds(f"{where}.above", conditions.above, vocabulary)
    for network in conditions.networks or ():
        _check_network(f"{where}.networks", network)
    if conditions.hours is not None:
        _check_hours(f"{where}.hours", conditions.hours)
    return msgspec.structs.replace(
        conditions,
        facts=facts,
        other_facts=others,
        destinations=_normalized(
            f"{where}.destinations", conditions.destinations, vocabulary.normalized_destination
        ),
        accounts=_normalized(f"{where}.accounts", conditions.accounts, vocabulary.normalized_account),
    )


def _normalized(
    where: str, values: tuple[str, ...] | None, normalize: Normalize | None
) -> tuple[str, ...] | None:
    if values is None or normalize is None:
        return values
    try:
        return tuple(normalize(value) for value in values)
    except ValueError as error:
        raise _wrong(where, str(error)) from None


def _checked_facts(where: str, facts: Facts | None, vocabulary: Vocabulary) -> Facts | None:
    """The facts with their texts in the form of signatures."""
    if facts is None:
        return None
    if not facts:
        raise _wrong(where, "is empty: leave it out, or fill it")
    return {name: _checked_values(f"{where}.{name}", name, facts[name], vocabulary) for name in facts}


def _checked_values(
    where: str, name: str, values: tuple[str | int, ...], vocabulary: Vocabulary
) -> tuple[str | int, ...]:
    kind = _kind_of_fact(where, name, vocabulary)
    if not values or not all(type(value) is kind for value in values):
        what = "whole numbers" if kind is int else "texts"
        raise _wrong(where, f"is a list of {what}, at least one")
    if kind is int:
        return values
    texts = tuple(str(value) for value in values)
    _check_forms(where, texts, vocabulary.fact_forms.get(name, ".*"))
    return _normalized(where, texts, vocabulary.normalized_facts.get(name)) or texts


def _check_bounds(where: str, bounds: Mapping[str, int] | None, vocabulary: Vocabulary) -> None:
    if bounds is None:
        return
    if not bounds:
        raise _wrong(where, "is empty: leave it out, or fill it")
    for name, bound in bounds.items():
        if (
            _kind_of_fact(f"{where}.{name}", name, vocabulary) is not int
            or type(bound) is not int
            or bound < 0
        ):
            raise _wrong(f"{where}.{name}", "is for facts that are numbers: a whole number, 0 or more")


def _kind_of_fact(where: str, name: str, vocabulary: Vocabulary) -> type:
    if name not in vocabulary.facts:
        known = ", ".join(sorted(vocabulary.facts)) or "none"
        raise _wrong(where, f"no fact is called {name!r} here; there is {known}")
    return vocabulary.facts[name]


def _check_forms(where: str, values: Iterable[str], form: str) -> None:
    for value in values:
        if not re.fullmatch(form, value, re.DOTALL):
            raise _wrong(where, f"{value!r} is no word of this ledger")


def _check_principal(where: str, name: str, known: tuple[str, ...] | None) -> None:
    if known is None:
        return
    if not any(
        name.startswith(each) and name != each if each.endswith(":") else name == each for each in known
    ):
        told = ", ".join(f"{each}NAME" if each.endswith(":") else each for each in known)
        raise _wrong(where, f"nobody is called {name!r} here; callers are {told}")


def _check_approvals(rule: Rule, vocabulary: Vocabulary) -> None:
    if (rule.effect is Effect.APPROVE) is (rule.approvals is None):
        raise _wrong("approvals", f'belongs to the effect "{Effect.APPROVE.value}", and to no other')
    if rule.approvals is None:
        return
    needed, of = rule.approvals.needed, rule.approvals.of
    callers = vocabulary.principals
    known = None if callers is None else (*callers, OPERATOR.name, f"{OPERATOR.name}:")
    if not 1 <= needed <= MAX_APPROVALS:
        raise _wrong("approvals.needed", f"is from 1 to {MAX_APPROVALS}")
    if of is not None and len({*of}) < max(needed, len(of)):
        raise _wrong("approvals.of", "names as many principals as are needed, or more, and each of them once")
    for name in of or ():
        if name.startswith(SERVICE) or name == ANONYMOUS.name:
            raise _wrong("approvals.of", f"{name!r} is nobody who could answer for it")
        _check_principal("approvals.of", name, known)
    if any(name.startswith(SERVICE) for name in rule.when.principals or ()):
        raise _wrong(
            "when.principals", "what the service does by itself waits for nobody's approval; deny it instead"
        )


def _check_network(where: str, text: str) -> None:
    try:
        parse_network(text)
    except InvalidInput as error:
        raise _wrong(where, error.message) from None


def _check_limit(limit: Limit, vocabulary: Vocabulary) -> None:
    if limit.asset and not re.fullmatch(vocabulary.asset_form, limit.asset):
        raise _wrong(
            "limit.asset", f"{limit.asset!r} is no asset here; the ledger's own coin is named by none"
        )
    if limit.amount_raw is None and limit.count is None:
        raise _wrong("limit", "says neither amount_raw nor count")
    if limit.amount_raw is not None and not is_amount(limit.amount_raw):
        raise _wrong("limit.amount_raw", "is a whole number from 0 to 2^256-1, as text")
    if limit.count is not None and limit.count < 0:
        raise _wrong("limit.count", "is 0 or more")
    if limit.seconds is None and limit.count is not None:
        raise _wrong("limit.count", "needs seconds: one signature is one")
    if limit.seconds is not None and not 1 <= limit.seconds <= MAX_WINDOW_S:
        raise _wrong("limit.seconds", f"is from 1 to {MAX_WINDOW_S}")
    if limit.seconds is None and limit.per is not Per.RULE:
        raise _wrong("limit.per", "needs seconds: without, each signature is looked at alone")


def _check_hours(where: str, hours: Hours) -> None:
    try:
        ZoneInfo(hours.zone)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        raise _wrong(f"{where}.zone", f"no time zone is called {hours.zone!r}") from None
    if not hours.days or {*hours.days} - {*DAYS}:
        raise _wrong(f"{where}.days", f"are some of {', '.join(DAYS)}")
    for name, moment in (("start", hours.start), ("end", hours.end)):
        if not _TIME.fullmatch(moment):
            raise _wrong(f"{where}.{name}", f"looks like 09:30, not {moment!r}")


def _wrong(where: str, what: str) -> InvalidInput:
    return InvalidInput(f"It cannot be used: {where} {what}", code=CODE)
