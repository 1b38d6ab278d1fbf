"""Whether a rule concerns a signature. Nothing here reads or writes anything."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from strongroom.core.guard.rule import DAYS, Conditions, Effect, Hours, Rule
from strongroom.core.security.networks import is_within
from strongroom.core.security.policy import Payment, SignatureRequest, Term, Unsaid

MINUTES_OF_DAY = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveRule:
    """A stored rule and when it counts, in milliseconds since 1970."""

    id: str
    name: str
    rule: Rule
    starts_at_ms: int
    ends_at_ms: int | None

    def concerns(
        self, request: SignatureRequest, now_ms: int, payments: Sequence[Payment] | None = None
    ) -> bool:
        """`payments`: those of the request, for a caller that asks many rules."""
        # What denies or asks counts from the commit on, also where the clock is behind that of the machine that added it.
        if self.rule.effect is Effect.ALLOW and now_ms < self.starts_at_ms:
            return False
        if self.ends_at_ms is not None and now_ms >= self.ends_at_ms:
            return False
        return concerns(self.rule, request, now_ms, payments)


def concerns(
    rule: Rule, request: SignatureRequest, now_ms: int, payments: Sequence[Payment] | None = None
) -> bool:
    is_allowing = rule.effect is Effect.ALLOW
    if payments is None:
        payments = request.payments
    # What is said of several is denied for one of them, and allowed for all of them alone; exceptions the other way round.
    if not holds(rule.when, request, payments, now_ms, every=is_allowing, if_nobody=False):
        return False
    if rule.unless is None:
        return True
    # What pays nobody breaks no rule about who is paid, unless it does not say what it takes, and so not who gets it.
    is_exempt = not is_allowing and request.is_amount_known
    return not holds(rule.unless, request, payments, now_ms, every=not is_allowing, if_nobody=is_exempt)


def holds(
    conditions: Conditions,
    request: SignatureRequest,
    payments: Sequence[Payment],
    now_ms: int,
    *,
    every: bool,
    if_nobody: bool,
) -> bool:
    """`every`: all that are paid, and all values of a fact, must be in the list, else one is enough.

    `if_nobody`: what a condition about destinations says of a signature that pays nobody.
    """
    return (
        names_hold(conditions, request, every=every)
        and _facts_hold(conditions, request, every=every)
        and _destinations_hold(conditions.destinations, payments, every=every, if_nobody=if_nobody)
        and (conditions.networks is None or is_within(request.principal.source, conditions.networks))
        and (conditions.hours is None or is_open(conditions.hours, now_ms))
    )


def names_hold(conditions: Conditions, request: SignatureRequest, *, every: bool) -> bool:
    """The conditions about names, which are the same for every signature of one caller, account and kind.

    `every`: what is said of a token is not said of those that it made.
    """
    callers = (request.principal.name,) if every else request.principal.names
    return (
        (conditions.wallets is None or request.wallet in conditions.wallets)
        and (conditions.principals is None or any(name in conditions.principals for name in callers))
        and (conditions.kinds is None or request.kind in conditions.kinds)
        and (conditions.accounts is None or request.account in conditions.accounts)
    )


def is_open(hours: Hours, now_ms: int) -> bool:
    """Whether a moment lies in the span, by the zone's own clock: it is an hour longer or shorter on two days a year."""
    local = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(_zone(hours.zone))
    start, end = _minutes(hours.start), _minutes(hours.end)
    minute = local.hour * 60 + local.minute
    today, yesterday = DAYS[local.weekday()], DAYS[(local - timedelta(days=1)).weekday()]
    if start < end:
        return today in hours.days and start <= minute < end
    return (today in hours.days and minute >= start) or (yesterday in hours.days and minute < end)


def _facts_hold(conditions: Conditions, request: SignatureRequest, *, every: bool) -> bool:
    if conditions.facts is None and conditions.other_facts is None and conditions.above is None:
        return True
    tests = [
        *((name, wanted.__contains__) for name, wanted in (conditions.facts or {}).items()),
        *((name, _other_than(known)) for name, known in (conditions.other_facts or {}).items()),
        *((name, _more_than(bound)) for name, bound in (conditions.above or {}).items()),
    ]
    terms = request.terms
    return all(_term_holds(terms.get(name), is_met, every=every) for name, is_met in tests)


def _term_holds(term: Term, is_met: Callable[[str | int], bool], *, every: bool) -> bool:
    if isinstance(term, Unsaid):
        return not every
    if term is None:
        return False
    met = [is_met(value) for value in (term if isinstance(term, tuple) else (term,))]
    return bool(met) and (all(met) if every else any(met))


def _other_than(known: tuple[str | int, ...]) -> Callable[[str | int], bool]:
    return lambda value: value not in known


def _more_than(bound: int) -> Callable[[str | int], bool]:
    return lambda value: isinstance(value, int) and value > bound


def _destinations_hold(
    wanted: tuple[str, ...] | None, payments: Sequence[Payment], *, every: bool, if_nobody: bool
) -> bool:
    if wanted is None:
        return True
    paid = [payment.destination in wanted for payment in payments]
    if not paid:
        return if_nobody
    return all(paid) if every else any(paid)


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


@lru_cache(maxsize=MINUTES_OF_DAY)
def _minutes(moment: str) -> int:
    return int(moment[:2]) * 60 + int(moment[3:])
