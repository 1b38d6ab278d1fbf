"""The ways in which value may leave a wallet, as far as the rules tell them apart.

Rules name a finite number of callers, accounts, destinations and so on. Whatever they do not name is alike to them, so one
example of each kind stands for all the others; of names that are not fixed there are as many as anybody wants.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from itertools import chain, count, product
from math import prod
from typing import Final

import msgspec

from strongroom.core.guard.evaluation import concerns
from strongroom.core.guard.rule import SERVICE, Conditions, Effect, Hours, Limit, Per, Rule
from strongroom.core.guard.token_rules import is_within
from strongroom.core.guard.vocabulary import Vocabulary
from strongroom.core.security.access import Principal
from strongroom.core.security.networks import CLIENT_BITS
from strongroom.core.security.policy import SignatureRequest

MAX_COURSES: Final = 200_000
MAX_SPANS: Final = 6
ANOTHER: Final = "?"
"""Begins the names that no rule mentions; the replay numbers them."""
WALLET_PRINCIPAL: Final = "wallet:"
_FRESH_PRINCIPAL: Final = f"token:{ANOTHER}"


class Undecidable(Exception):
    """The rules are more than can be looked at. The text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is asked about."""

    rules: Sequence[Rule]
    """Those that count, from the first added on. What asks for approvals is among them only if nobody approves."""
    default_allows: bool
    wallet: str
    asset: str
    vocabulary: Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """A window that several signatures count in: a rule's place, and the subject that it counts apart."""

    rule: int
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A way for value to leave that no rule forbids by itself."""

    request: SignatureRequest
    """An example. Names that begin with `?` stand for as many names as are needed."""
    at_once: int | None
    """The most that one signature may take; None: no limit."""
    windows: frozenset[Shared]
    """The windows that bound what several signatures take together."""


def courses_of(scene: Scene, open_spans: frozenset[Hours]) -> list[Course]:
    """The courses that differ, at a time when these spans of hours hold and no others.

    Raises:
        Undecidable: there are too many to look at.
    """
    conditions = [one for rule in scene.rules for one in (rule.when, rule.unless) if one is not None]
    for part in ("principals", "accounts", "kinds", "destinations"):
        if any(_is_fresh(name) for name in _named(conditions, part)):
            raise Undecidable(f"A rule names something that begins with {ANOTHER}")
    timeless = [_at(rule, open_spans) for rule in scene.rules]
    found: dict[tuple[int | None, frozenset[Shared], bool], Course] = {}
    for request in _requests(scene, conditions):
        course = _course(scene, timeless, request)
        if course is not None:
            found.setdefault((course.at_once, course.windows, request.is_amount_known), course)
    return list(found.values())


def spans_of(rules: Iterable[Rule]) -> tuple[Hours, ...]:
    """The spans of hours that rules speak of. Raises: Undecidable: too many."""
    conditions = chain.from_iterable((rule.when, rule.unless) for rule in rules)
    found = dict.fromkeys(one.hours for one in conditions if one is not None and one.hours is not None)
    if len(found) > MAX_SPANS:
        raise Undecidable(f"The rules speak of more than {MAX_SPANS} spans of hours")
    return tuple(found)


def _at(rule: Rule, open_spans: frozenset[Hours]) -> Rule | None:
    """The rule as it is while these spans hold; None: it concerns nothing then."""
    when, unless = rule.when, rule.unless
    if when.hours is not None:
        if when.hours not in open_spans:
            return None
        when = msgspec.structs.replace(when, hours=None)
    if unless is not None and unless.hours is not None:
        if unless.hours not in open_spans:
            unless = None
        else:
            unless = msgspec.structs.replace(unless, hours=None)
            if unless.is_empty:
                return None
    return msgspec.structs.replace(rule, when=when, unless=unless)


def _course(scene: Scene, rules: Sequence[Rule | None], request: SignatureRequest) -> Course | None:
    """None: it is refused, whatever passed before."""
    at_once: int | None = None
    windows = set[Shared]()
    allowed = scene.default_allows
    for place, rule in enumerate(rules):
        if rule is None or not concerns(rule, request, 0):
            continue
        if rule.effect is Effect.ALLOW:
            allowed = True
            continue
        limit = rule.limit
        if limit is None or not is_within(limit, request):  # of the amount nothing is said yet: it is 0
            return None
        most = limit.max_amount if limit.asset == scene.asset else None
        if limit.seconds is None:
            at_once = _smaller(at_once, most)
            continue
        if limit.count == 0:
            return None
        subject = _subject(limit, request)
        if not _is_fresh(subject):
            windows.add(Shared(rule=place, subject=subject))
        else:  # the next signature has a window of its own
            at_once = _smaller(at_once, most)
    if not allowed or at_once == 0:
        return None
    return Course(request=request, at_once=at_once, windows=frozenset(windows))


def _is_fresh(name: str) -> bool:
    return name.startswith((ANOTHER, _FRESH_PRINCIPAL))


def _smaller(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)


def _subject(limit: Limit, request: SignatureRequest) -> str:
    return {
        Per.RULE: "",
        Per.WALLET: request.wallet,
        Per.ACCOUNT: request.account,
        Per.PRINCIPAL: request.principal.name,
        Per.DESTINATION: request.destination or "",
    }[limit.per]


def _requests(scene: Scene, conditions: Sequence[Conditions]) -> Iterator[SignatureRequest]:
    """One for each combination of what rules name and what they do not. Raises: Undecidable: too many."""
    payloads = scene.vocabulary.payloads
    destinations: list[tuple[str | None, bool]] = [
        (name, True) for name in [ANOTHER, *_named(conditions, "destinations")]
    ]
    if payloads.hides_amounts:
        destinations += [(None, False), *((name, False) for name, _ in destinations)]
    parts = (
        _principals(conditions, scene.wallet),
        [scene.wallet] if payloads.account_is_wallet else [ANOTHER, *_named(conditions, "accounts")],
        _kinds(conditions, scene.vocabulary),
        _sources(conditions),
        _facts(conditions, without=payloads.kind_fact),
        destinations,
    )
    _require_few(parts)
    ways = product(*parts)
    for principal, account, kind, source, facts, (destination, is_known) in ways:
        yield SignatureRequest(
            principal=Principal(name=principal, scopes=frozenset({"*"}), source=source),
            scope="*",
            account=account,
            kind=kind,
            payload_hash=bytes(32),
            wallet=scene.wallet,
            is_amount_known=is_known,
            destination=destination,
            facts=facts if payloads.kind_fact is None else {**facts, payloads.kind_fact: kind},
        )


def _named(conditions: Iterable[Conditions], part: str) -> list[str]:
    return list(dict.fromkeys(name for one in conditions for name in getattr(one, part) or ()))


def _principals(conditions: Sequence[Conditions], wallet: str) -> list[str]:
    """Without the service itself, which pays nobody, and without other wallets."""
    others = [
        name
        for name in _named(conditions, "principals")
        if not name.startswith(SERVICE)
        and (not name.startswith(WALLET_PRINCIPAL) or name == WALLET_PRINCIPAL + wallet)
    ]
    return [_FRESH_PRINCIPAL, *others]


def _kinds(conditions: Sequence[Conditions], vocabulary: Vocabulary) -> list[str]:
    payloads = vocabulary.payloads
    known = vocabulary.kinds
    names = [ANOTHER, *_named(conditions, "kinds")] if known is None else sorted(known)
    for one in conditions:
        for listed in ((one.facts or {}), (one.other_facts or {})):
            names += [str(value) for value in listed.get(payloads.kind_fact or "", ())]
    names = list(dict.fromkeys(names))
    return [name for name in names if payloads.pays(name)]


def _sources(conditions: Sequence[Conditions]) -> list[str]:
    """An address of each stretch that no network divides, and none at all."""
    networks = [ipaddress.ip_network(text) for text in _named(conditions, "networks")]
    v4 = [one for one in networks if isinstance(one, ipaddress.IPv4Network)]
    v6 = [one for one in networks if isinstance(one, ipaddress.IPv6Network)]
    return [
        "",
        *(str(ipaddress.IPv4Address(edge)) for edge in _edges(v4, 2**32)),
        *(f"{ipaddress.IPv6Address(edge)}/{CLIENT_BITS}" for edge in _edges(v6, 2**128)),
    ]


def _edges(
    networks: Sequence[ipaddress.IPv4Network] | Sequence[ipaddress.IPv6Network], end: int
) -> list[int]:
    starts = {int(one.network_address) for one in networks}
    afters = {int(one.broadcast_address) + 1 for one in networks}
    return sorted({0} | starts | {each for each in afters if each < end})


def _require_few(parts: Iterable[Sized]) -> None:
    """Raises: Undecidable: there are too many combinations of these, so that they are not even listed."""
    if prod(map(len, parts)) > MAX_COURSES:
        raise Undecidable(f"The rules tell more than {MAX_COURSES} cases apart")


def _facts(
    conditions: Sequence[Conditions], *, without: str | None
) -> Sequence[Mapping[str, str | int | None]]:
    """Several values of one fact never pass where none of them does alone, so single ones are enough."""
    values: dict[str, list[str | int | None]] = {}
    for one in conditions:
        for name, listed in chain((one.facts or {}).items(), (one.other_facts or {}).items()):
            values.setdefault(name, [None]).extend(listed)
        for name, bound in (one.above or {}).items():
            values.setdefault(name, [None]).extend((bound, bound + 1))
    values = {
        name: list(dict.fromkeys([*listed, *_unlisted(listed)]))
        for name, listed in values.items()
        if name != without
    }
    _require_few(values.values())
    return [dict(zip(values, each, strict=True)) for each in product(*values.values())]


def _unlisted(listed: Sequence[str | int | None]) -> Iterator[str | int]:
    """A value that is not listed: a text, or a number above each of those that are, or below all."""
    numbers = {each for each in listed if isinstance(each, int)}
    for number in {-1, *numbers} if numbers else ():
        yield next(each for each in count(number + 1) if each not in numbers)
    if any(isinstance(each, str) for each in listed):
        yield ANOTHER


def numbered(course: Course, number: int, amount: int) -> SignatureRequest:
    """The course as a signature of this amount, with names that no other signature has."""
    request = course.request

    def own(name: str) -> str:
        return f"{name}{number}" if _is_fresh(name) else name

    return replace(
        request,
        principal=replace(request.principal, name=own(request.principal.name)),
        account=own(request.account),
        destination=None if request.destination is None else own(request.destination),
        amount_raw=amount,
    )


def shown(name: str) -> str:
    """A name for people: `?7` is any that no rule names."""
    before, mark, number = name.partition(ANOTHER)
    return (
        f"{before}(any other, no. {number})"
        if mark and number.isdigit()
        else name.replace(ANOTHER, "(any other)")
    )
