"""Counts a signature in the windows of the rules that concern it, and refuses what goes beyond one of them.

`core.coordination.spent` says how a window counts, `core.coordination.windows` how its row is kept.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from sqlalchemy import Connection

from strongroom.core.clock import iso_instant
from strongroom.core.coordination.spent import NOTHING, Spent, bucket_width_ms
from strongroom.core.coordination.windows import (
    Counted,
    WindowOf,
    encode_counted,
    lock_windows,
    look_at_windows,
    store_windows,
)
from strongroom.core.errors import Forbidden
from strongroom.core.guard.evaluation import ActiveRule
from strongroom.core.guard.rule import Effect, Limit, Per
from strongroom.core.security.policy import Payment, SignatureRequest

LIMIT_CODE: Final = "rule_limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What one signature adds to one window."""

    rule: ActiveRule
    limit: Limit
    seconds: int
    subject: str
    amount: int

    @property
    def asks(self) -> bool:
        """What goes beyond the window is not denied, but needs approvals."""
        return self.rule.rule.effect is Effect.APPROVE

    @property
    def window(self) -> bytes:
        return window_id(self.rule.id, self.subject)

    @property
    def owner(self) -> WindowOf:
        return WindowOf(self.rule.id, self.subject)

    @property
    def width_ms(self) -> int:
        return bucket_width_ms(self.seconds)

    def counted(self, spent: Spent, now_ms: int) -> Spent:
        """What of a window still counts."""
        return spent.since((now_ms - self.seconds * 1000) // self.width_ms)


def charges_of(rules: Iterable[ActiveRule], request: SignatureRequest) -> list[Charge]:
    """The windows that a signature counts in, of the rules that concern it."""
    charges = []
    payments = request.payments  # made anew at each reading
    for rule in rules:
        limit = rule.rule.limit
        if limit is not None and limit.seconds is not None:
            charges += [
                Charge(rule=rule, limit=limit, seconds=limit.seconds, subject=subject, amount=amount)
                for subject, amount in _amounts(limit, request, payments)
            ]
    return charges


def amount_of(limit: Limit, request: SignatureRequest) -> int:
    """What a signature takes of the limit's asset, whoever gets it."""
    return _taken(limit, request.payments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What `spend` did."""

    counted: str | None = None
    asking: frozenset[str] = frozenset()
    """The ids of the rules that ask for approvals because the signature goes beyond their windows. In those it is not counted,
    since they limit what passes without being asked."""


def spend(connection: Connection, charges: Sequence[Charge], now_ms: int) -> Count:
    """Counts a signature in its windows, whose rows are locked until the commit.

    Raises:
        Forbidden: it goes beyond one of them; the caller's transaction ends with it, and nothing is counted.
    """
    by_window = {charge.window: charge for charge in charges}
    held = lock_windows(connection, by_window, lambda window: by_window[window].owner, now_ms)
    after, counts, asking = {}, [], set()
    for window, charge in by_window.items():
        owner, spent = held[window]
        counted, bucket = charge.counted(spent, now_ms), now_ms // charge.width_ms
        if _asks_for(charge, counted, now_ms):
            asking.add(charge.rule.id)
        after[window] = (owner, counted.plus(bucket, charge.amount))
        counts.append(Counted(window, bucket, str(charge.amount)))
    if asking:  # of several windows of one rule, all or none are counted
        after = {window: one for window, one in after.items() if one[0].rule not in asking}
        counts = [one for one in counts if one.window in after]
    if not counts:
        return Count(asking=frozenset(asking))
    store_windows(connection, after, now_ms)
    return Count(counted=encode_counted(counts), asking=frozenset(asking))


def look(connection: Connection, charges: Sequence[Charge], now_ms: int) -> Count:
    """Looks whether a signature would fit, and counts nothing. Raises: Forbidden."""
    held = look_at_windows(connection, [charge.window for charge in charges])
    asking = set()
    for charge in charges:
        _, spent = held.get(charge.window, (charge.owner, NOTHING))
        if _asks_for(charge, charge.counted(spent, now_ms), now_ms):
            asking.add(charge.rule.id)
    return Count(asking=frozenset(asking))


@lru_cache(maxsize=4096)
def window_id(rule: str, subject: str) -> bytes:
    return hashlib.sha256(rule.encode() + b"\0" + subject.encode()).digest()


def _asks_for(charge: Charge, spent: Spent, now_ms: int) -> bool:
    """Whether it needs approvals. Raises: Forbidden: with what passed, and from when on this fits, if it ever does."""
    if _fits(charge, spent):
        return False
    if charge.asks:
        return True
    limit = charge.limit
    parts = []
    if limit.amount_raw is not None:
        parts.append(f"{limit.amount_raw} raw, of which {spent.amount} passed and this is {charge.amount}")
    if limit.count is not None:
        parts.append(f"{limit.count} signatures, of which {spent.signatures} passed")
    what = f" for {limit.per.value} {charge.subject}" if charge.subject else ""
    raise Forbidden(
        f"The rule {charge.rule.name!r} lets pass in {charge.seconds} s{what} {' and '.join(parts)}."
        f" {_when(charge, spent, now_ms)}",
        code=LIMIT_CODE,
        rule=charge.rule.name,
    )


def _fits(charge: Charge, spent: Spent) -> bool:
    limit = charge.limit
    return (limit.max_amount is None or spent.amount + charge.amount <= limit.max_amount) and (
        limit.count is None or spent.signatures < limit.count
    )


def _when(charge: Charge, spent: Spent, now_ms: int) -> str:
    moment_ms = now_ms
    while not _fits(charge, spent) and spent != NOTHING:
        moment_ms = (spent.oldest + 1) * bucket_width_ms(charge.seconds) + charge.seconds * 1000
        spent = spent.since(spent.oldest + 1)
    return f"It fits from {iso_instant(moment_ms)} on" if _fits(charge, spent) else "It never fits"


def _amounts(
    limit: Limit, request: SignatureRequest, payments: Sequence[Payment]
) -> Iterable[tuple[str, int]]:
    """The subjects that the window counts apart, each with what goes there."""
    if limit.per is Per.DESTINATION:
        amounts: dict[str, int] = {}
        for payment in payments:
            amount = payment.amount_raw if payment.asset == limit.asset else 0
            amounts[payment.destination or ""] = amounts.get(payment.destination or "", 0) + amount
        return amounts.items()
    taken = _taken(limit, payments)
    return ((subject, taken) for subject in _subjects(limit.per, request))


def _subjects(per: Per, request: SignatureRequest) -> Sequence[str]:
    if per is Per.PRINCIPAL:
        return request.principal.names  # what a token makes must not spend what it may not itself
    return ({Per.WALLET: request.wallet, Per.ACCOUNT: request.account}.get(per, ""),)


def _taken(limit: Limit, payments: Sequence[Payment]) -> int:
    return sum(payment.amount_raw for payment in payments if payment.asset == limit.asset)
