"""Finds windows of rules that hold less than what the audit trail says was counted in them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, select

from strongroom.core.clock import Clock
from strongroom.core.coordination.spent import Spent, bucket_width_ms, decode_spent
from strongroom.core.coordination.windows import Counted, decode_counted
from strongroom.core.guard.evaluation import ActiveRule
from strongroom.core.guard.state import active_rules
from strongroom.core.guard.tagged_state import read_stored
from strongroom.core.guard.windows import window_id
from strongroom.core.intents.intent import Outcome
from strongroom.core.intents.tables import intent
from strongroom.core.json_decoder import decode_json
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from strongroom.core.transparency.inspection import Finding
from strongroom.core.transparency.rows import SIGNATURES, payment_in

CODE: Final = "window_altered"


class _Said(msgspec.Struct):
    destination: str | None = None
    counted: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sums:
    """What was counted at least, by window and bucket: signatures and amounts."""

    by_window: dict[bytes, dict[int, tuple[int, int]]] = field(default_factory=dict)
    subjects: set[str] = field(default_factory=lambda: {""})

    def add(self, one: Counted) -> None:
        buckets = self.by_window.setdefault(one.window, {})
        signatures, amount = buckets.get(one.bucket, (0, 0))
        buckets[one.bucket] = signatures + 1, amount + int(one.amount)


async def windows_altered(database: Database, clock: Clock) -> list[Finding]:
    """Looks twice where something is wrong, because signatures go on: what is given back meanwhile is not missing."""
    look = partial(_look, now_ms=clock.now_ms())
    first = await database.read(look)
    again = await database.read(look) if first else {}
    return [
        Finding(
            code=CODE,
            detail=f"The rule {name!r} has counted less{f' for {subject}' if subject else ''} than was signed",
        )
        for window, (name, subject) in first.items()
        if window in again
    ]


def _look(connection: Connection, now_ms: int) -> Mapping[bytes, tuple[str, str]]:
    """The rule's name and the subject of each window that holds less than it must."""
    rules = {
        one.id: one
        for one in active_rules(read_stored(connection), now_ms)
        if one.rule.limit is not None and one.rule.limit.seconds
    }
    if not rules:
        return {}
    longest_ms = 1000 * max(_seconds(one) for one in rules.values())
    sums = _sums(connection, now_ms - 2 * longest_ms)
    columns = tables.window.c
    rows = {bytes(row.id): row for row in connection.execute(select(*columns))}
    owners = {window_id(rule, subject): (rule, subject) for rule in rules for subject in sums.subjects}
    found = {}
    for window, buckets in sums.by_window.items():
        row = rows.get(window)
        rule_id, subject = owners.get(window, ("", "")) if row is None else (row.rule, row.subject)
        rule = rules.get(rule_id)
        if rule is not None and _lacks(rule, row, buckets, now_ms):
            found[window] = rule.name, subject
    return found


def _lacks(
    rule: ActiveRule, row: Row[Any] | None, counted: Mapping[int, tuple[int, int]], now_ms: int
) -> bool:
    seconds = _seconds(rule)
    first = 1 + (now_ms - seconds * 1000) // bucket_width_ms(seconds)
    held = {} if row is None else _held(row.spent)
    for number, (signatures, amount) in counted.items():
        there = held.get(number, (0, 0))
        if number > first and (there[0] < signatures or there[1] < amount):
            return True
    return False


def _held(text: str) -> Mapping[int, tuple[int, int]]:
    """Nothing where the text is none of ours."""
    try:
        spent: Spent = decode_spent(text)
        buckets = spent.buckets()
    except ValueError:
        return {}
    return {one.number: (one.signatures, one.amount) for one in buckets}


def _seconds(rule: ActiveRule) -> int:
    return (rule.rule.limit.seconds or 0) if rule.rule.limit is not None else 0


def _sums(connection: Connection, since_ms: int) -> _Sums:
    """What signatures since then counted, without what was given back, and whose windows there may be."""
    columns, sums = tables.audit.c, _Sums()
    query = select(columns.principal, columns.subject, columns.details).where(
        columns.at_ms >= since_ms, columns.action.in_(sorted(SIGNATURES))
    )
    stored = _stored(connection, since_ms, sums)
    last: dict[bytes, str] = {}
    for row in connection.execute(query.order_by(columns.sequence)):
        try:
            said = decode_json(row.details, _Said)
        except msgspec.MsgspecError:
            continue
        if said.counted is None:
            continue
        sums.subjects.update((row.principal, row.subject, said.destination or ""))
        name = payment_in(row.details)
        if name in stored:
            last[name] = said.counted  # one that was refused and signed again was given back before
        else:
            _add(sums, said.counted)
    for name, counted in last.items():
        outcome, kept = stored[name]
        if outcome != Outcome.REJECTED or kept is None:
            _add(sums, counted)
    return sums


def _stored(connection: Connection, since_ms: int, sums: _Sums) -> Mapping[bytes, tuple[str, str | None]]:
    columns = intent.c
    query = select(columns.id, columns.outcome, columns.counted, columns.wallet).where(
        columns.created_at_ms >= since_ms
    )
    found = {}
    for row in connection.execute(query):
        sums.subjects.add(row.wallet or "")
        found[bytes(row.id)] = row.outcome, row.counted
    names: Iterable[str] = connection.execute(select(tables.token.c.name)).scalars()
    sums.subjects.update(f"token:{name}" for name in names)
    return found


def _add(sums: _Sums, counted: str) -> None:
    try:
        counts = decode_counted(counted)
    except (msgspec.MsgspecError, ValueError):
        return
    for one in counts:
        sums.add(one)
