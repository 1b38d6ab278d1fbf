"""Counts what passes within rolling windows of time, in rows that every counted signature updates.

A window of `seconds` is kept in 60 buckets. What is in a bucket counts until the window's length after the bucket's end, so
no stretch of that length ever holds more than the limit; it may hold up to a sixtieth less.

Two signatures at once, in two processes or on two database nodes, update the same row: one waits for the other, or is undone
by the database and runs again. A sum that was only read could not do that.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, bindparam, select, update

from strongroom.core.clock import iso_instant
from strongroom.core.errors import Forbidden
from strongroom.core.guard import tables
from strongroom.core.guard.evaluation import ActiveRule
from strongroom.core.guard.rule import Limit, Per
from strongroom.core.json_decoder import decode_json
from strongroom.core.security.policy import SignatureRequest
from strongroom.core.storage.database import insert_ignore, locking

BUCKETS: Final = 60
LIMIT_CODE: Final = "rule_limit"
_columns = tables.window.c
_LOCK = locking(
    select(_columns.id, _columns.spent)
    .where(_columns.id.in_(bindparam("ids", expanding=True)))
    .order_by(_columns.id)
)
_STORE = (
    update(tables.window)
    .where(_columns.id == bindparam("window_id"))
    .values(spent=bindparam("new_spent"), updated_at_ms=bindparam("now_ms"))
)


class _Bucket(NamedTuple):
    number: int
    signatures: int
    amount: str
    """Of up to 78 digits: more than JSON's readers keep in a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What one signature adds to one window."""

    rule: ActiveRule
    limit: Limit
    seconds: int
    subject: str
    amount: int

    @property
    def id(self) -> bytes:
        subject = self.subject.encode()
        return hashlib.sha256(self.rule.id.encode() + b"\0" + subject).digest()

    @property
    def width_ms(self) -> int:
        return -(-self.seconds * 1000 // BUCKETS)


def charges_of(rule: ActiveRule, request: SignatureRequest) -> list[Charge]:
    """The windows that a signature counts in, for a rule with one."""
    limit = rule.rule.limit
    if limit is None or limit.seconds is None:
        return []
    return [
        Charge(rule=rule, limit=limit, seconds=limit.seconds, subject=subject, amount=amount)
        for subject, amount in _amounts(limit, request).items()
    ]


def amount_of(limit: Limit, request: SignatureRequest) -> int:
    """What a signature takes of the limit's asset, whoever gets it."""
    return sum(payment.amount_raw for payment in request.payments if payment.asset == limit.asset)


def spend(connection: Connection, charges: Sequence[Charge], now_ms: int) -> None:
    """Counts a signature in its windows, whose rows are locked until the commit.

    Raises:
        Forbidden: it goes beyond one of them; the caller's transaction ends with it, and nothing is counted.
    """
    by_id = {charge.id: charge for charge in charges}
    stored = _locked(connection, by_id, now_ms)
    changed = []
    for window_id, charge in sorted(by_id.items()):
        buckets = _kept(stored[window_id], charge, now_ms)
        _require_room(charge, buckets, now_ms)
        spent = _encoded(_added(buckets, charge, now_ms))
        changed.append({"window_id": window_id, "new_spent": spent, "now_ms": now_ms})
    connection.execute(_STORE, changed)


def require_room(connection: Connection, charges: Sequence[Charge], now_ms: int) -> None:
    """Looks whether a signature would fit, and counts nothing. Raises: Forbidden."""
    query = select(_columns.id, _columns.spent).where(_columns.id.in_([charge.id for charge in charges]))
    stored = {row.id: row.spent for row in connection.execute(query)}
    for charge in charges:
        _require_room(charge, _kept(stored.get(charge.id, "[]"), charge, now_ms), now_ms)


def _locked(connection: Connection, charges: dict[bytes, Charge], now_ms: int) -> dict[bytes, str]:
    """What each window holds. Their rows are locked in one order, so that no two signatures wait for each other."""
    ids = sorted(charges)
    found = _spent(connection.execute(_LOCK, {"ids": ids}).all())
    if missing := [each for each in ids if each not in found]:
        rows = [
            {
                "id": each,
                "rule": charges[each].rule.id,
                "subject": charges[each].subject,
                "spent": "[]",
                "updated_at_ms": now_ms,
            }
            for each in missing
        ]
        insert_ignore(connection, tables.window, rows)
        found = _spent(connection.execute(_LOCK, {"ids": ids}).all())
    return found


def _spent(rows: Sequence[Row[Any]]) -> dict[bytes, str]:
    return {bytes(row.id): row.spent for row in rows}


def _kept(spent: str, charge: Charge, now_ms: int) -> list[_Bucket]:
    """The buckets that still count."""
    oldest_end_ms = now_ms - charge.seconds * 1000
    buckets = [_Bucket(*each) for each in decode_json(spent)]
    return [each for each in buckets if (each.number + 1) * charge.width_ms > oldest_end_ms]


def _added(buckets: list[_Bucket], charge: Charge, now_ms: int) -> list[_Bucket]:
    number = now_ms // charge.width_ms
    old = next((each for each in buckets if each.number == number), _Bucket(number, 0, "0"))
    others = [each for each in buckets if each.number != number]
    return [*others, _Bucket(number, old.signatures + 1, str(int(old.amount) + charge.amount))]


def _encoded(buckets: list[_Bucket]) -> str:
    return msgspec.json.encode(sorted(buckets)).decode()


def _require_room(charge: Charge, buckets: list[_Bucket], now_ms: int) -> None:
    """Raises: Forbidden: with what passed, and from when on this fits, if it ever does."""
    if _fits(charge, buckets):
        return
    passed = sum(int(each.amount) for each in buckets)
    count = sum(each.signatures for each in buckets)
    limit = charge.limit
    parts = []
    if limit.amount_raw is not None:
        parts.append(f"{limit.amount_raw} raw, of which {passed} passed and this is {charge.amount}")
    if limit.count is not None:
        parts.append(f"{limit.count} signatures, of which {count} passed")
    what = f" for {limit.per.value} {charge.subject}" if charge.subject else ""
    raise Forbidden(
        f"The rule {charge.rule.name!r} lets pass in {charge.seconds} s{what} {' and '.join(parts)}."
        f" {_when(charge, buckets, now_ms)}",
        code=LIMIT_CODE,
    )


def _fits(charge: Charge, buckets: list[_Bucket]) -> bool:
    limit = charge.limit
    amount = sum(int(each.amount) for each in buckets) + charge.amount
    count = sum(each.signatures for each in buckets) + 1
    return (limit.max_amount is None or amount <= limit.max_amount) and (
        limit.count is None or count <= limit.count
    )


def _when(charge: Charge, buckets: list[_Bucket], now_ms: int) -> str:
    left = sorted(buckets)
    moment_ms = now_ms
    while left and not _fits(charge, left):
        moment_ms = (left.pop(0).number + 1) * charge.width_ms + charge.seconds * 1000
    return f"It fits from {iso_instant(moment_ms)} on" if _fits(charge, left) else "It never fits"


def _amounts(limit: Limit, request: SignatureRequest) -> dict[str, int]:
    """The subjects that the window counts apart, each with what goes there."""
    if limit.per is not Per.DESTINATION:
        subject = {
            Per.RULE: "",
            Per.WALLET: request.wallet,
            Per.ACCOUNT: request.account,
            Per.PRINCIPAL: request.principal.name,
        }[limit.per]
        return {subject: amount_of(limit, request)}
    amounts: dict[str, int] = {}
    for payment in request.payments:
        amount = payment.amount_raw if payment.asset == limit.asset else 0
        amounts[payment.destination or ""] = amounts.get(payment.destination or "", 0) + amount
    return amounts
