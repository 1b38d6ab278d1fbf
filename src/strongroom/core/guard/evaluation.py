"""Whether a rule concerns a signature. Nothing here reads or writes anything."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from strongroom.core.guard.rule import DAYS, Conditions, Effect, Hours, Rule
from strongroom.core.security.policy import SignatureRequest

MINUTES_OF_DAY = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveRule:
    """A stored rule and when it counts, in milliseconds since 1970."""

    id: str
    name: str
    rule: Rule
    starts_at_ms: int
    ends_at_ms: int | None

    def concerns(self, request: SignatureRequest, now_ms: int) -> bool:
        if now_ms < self.starts_at_ms or (self.ends_at_ms is not None and now_ms >= self.ends_at_ms):
            return False
        is_allowing = self.rule.effect is Effect.ALLOW
        # A payment to several is denied for one of them, and allowed for all of them alone; exceptions the other way round.
        if not holds(self.rule.when, request, now_ms, every_destination=is_allowing):
            return False
        unless = self.rule.unless
        return unless is None or not holds(unless, request, now_ms, every_destination=not is_allowing)


def holds(conditions: Conditions, request: SignatureRequest, now_ms: int, *, every_destination: bool) -> bool:
    """`every_destination`: all that are paid must be in the list, else one is enough."""
    return (
        _among(request.principal.name, conditions.principals)
        and _among(request.wallet, conditions.wallets)
        and _among(request.account, conditions.accounts)
        and _among(request.kind, conditions.kinds)
        and _facts_hold(conditions, request)
        and _destinations_hold(conditions.destinations, request, every=every_destination)
        and (conditions.networks is None or is_within(request.principal.source, conditions.networks))
        and (conditions.hours is None or is_open(conditions.hours, now_ms))
    )


def is_within(source: str, networks: Iterable[str]) -> bool:
    """`source`: an address, or the network of one IPv6 client; empty is nowhere."""
    if not source:
        return False
    try:
        inner = ipaddress.ip_network(source)
    except ValueError:
        return False
    return any(_contains(_network(text), inner) for text in networks)


def is_open(hours: Hours, now_ms: int) -> bool:
    """Whether a moment lies in the span, by the zone's own clock: it is an hour longer or shorter on two days a year."""
    local = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(_zone(hours.zone))
    start, end = _minutes(hours.start), _minutes(hours.end)
    minute = local.hour * 60 + local.minute
    today, yesterday = DAYS[local.weekday()], DAYS[(local - timedelta(days=1)).weekday()]
    if start < end:
        return today in hours.days and start <= minute < end
    return (today in hours.days and minute >= start) or (yesterday in hours.days and minute < end)


def _among(value: str, values: tuple[str, ...] | None) -> bool:
    return values is None or value in values


def _facts_hold(conditions: Conditions, request: SignatureRequest) -> bool:
    if conditions.facts is None:
        return True
    return all(request.terms.get(name) in values for name, values in conditions.facts.items())


def _destinations_hold(wanted: tuple[str, ...] | None, request: SignatureRequest, *, every: bool) -> bool:
    if wanted is None:
        return True
    paid = (payment.destination in wanted for payment in request.payments)
    return all(paid) if every else any(paid)


def _contains(
    outer: ipaddress.IPv4Network | ipaddress.IPv6Network, inner: ipaddress.IPv4Network | ipaddress.IPv6Network
) -> bool:
    if isinstance(inner, ipaddress.IPv4Network):
        return isinstance(outer, ipaddress.IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, ipaddress.IPv6Network) and inner.subnet_of(outer)


@lru_cache(maxsize=4096)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text)


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


@lru_cache(maxsize=MINUTES_OF_DAY)
def _minutes(moment: str) -> int:
    return int(moment[:2]) * 60 + int(moment[3:])
