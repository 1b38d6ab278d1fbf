"""Tries a plan with the real guard, on a database in memory that has the rules and nothing that was spent yet."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, create_engine, delete
from sqlalchemy.pool import StaticPool

from strongroom.core.clock import SystemClock
from strongroom.core.coordination.spent import bucket_width_ms
from strongroom.core.errors import StrongroomError
from strongroom.core.guard import tables
from strongroom.core.guard.evaluation import ActiveRule
from strongroom.core.guard.guard import Default, Guard
from strongroom.core.guard.proof.courses import numbered
from strongroom.core.guard.proof.solver import Plan
from strongroom.core.guard.rule import encode_rule
from strongroom.core.guard.tagged_state import STATE_ID, write_tag
from strongroom.core.security.keys.trail_key import SECRET_BYTES, TrailKey
from strongroom.core.security.policy import SignatureRequest
from strongroom.core.storage import tables as core_tables

MAX_TRIES: Final = 20_000
MAX_SIGNATURES: Final = 2_000
HOUR_MS: Final = 3_600_000
WEEK_HOURS: Final = 8 * 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A signature that the guard let pass."""

    at_ms: int
    request: SignatureRequest


class TooLong(Exception):
    """The plan has more signatures than can be tried."""


class _Clock(SystemClock):
    at_ms = 0

    def now_ms(self) -> int:
        return self.at_ms


class Replay:
    """The guard of a database of its own, whose time stands where the plan needs it. Close it."""

    def __init__(self, rules: Sequence[ActiveRule], default: Default) -> None:
        self._engine = create_engine("sqlite://", poolclass=StaticPool)
        self._rules = rules
        self._clock = _Clock()
        key = TrailKey(bytes(SECRET_BYTES))
        self._guard = Guard(self._clock, default, key=key)
        self._tries = 0
        core_tables.metadata.create_all(self._engine)
        with self._engine.begin() as connection:
            _store(connection, rules)
            write_tag(connection, key, 0)

    def close(self) -> None:
        self._engine.dispose()

    def of(self, plan: Plan, *, seconds: int, now_ms: int) -> list[Step] | None:
        """The signatures of the plan as the guard let them pass; None: it did not, whenever the stretch began.

        Raises:
            TooLong: there are too many.
        """
        wanted = list(_signatures(plan, seconds * 1000))
        self._tries = 0
        for begin_ms in self._beginnings(now_ms):
            if (steps := self._try(wanted, begin_ms, begin_ms + seconds * 1000)) is not None:
                return steps
            if self._tries >= MAX_TRIES:
                break
        return None

    def _beginnings(self, now_ms: int) -> Iterator[int]:
        """Moments at which a stretch may begin: after all changes of rules, at the end of a bucket, at any hour of a week."""
        changes = [moment for one in self._rules for moment in (one.starts_at_ms, one.ends_at_ms or 0)]
        for base_ms in dict.fromkeys((now_ms, max([now_ms, *changes]))):
            for width_ms in sorted(self._widths_ms(), reverse=True):
                yield base_ms - base_ms % width_ms + width_ms - 1
            yield from (base_ms - base_ms % HOUR_MS + hour * HOUR_MS for hour in range(1, WEEK_HOURS))

    def _widths_ms(self) -> set[int]:
        limits = [one.rule.limit for one in self._rules if one.rule.limit is not None]
        return {bucket_width_ms(one.seconds) for one in limits if one.seconds is not None} or {1}

    def _try(
        self, wanted: Sequence[tuple[int, SignatureRequest]], begin_ms: int, end_ms: int
    ) -> list[Step] | None:
        with self._engine.begin() as connection:
            connection.execute(delete(core_tables.window))
        steps: list[Step] = []
        at_ms = begin_ms
        for after_ms, request in wanted:
            at_ms = max(at_ms, begin_ms + after_ms)
            while not self.passes(request, at_ms):
                at_ms = min(at_ms - at_ms % width + width for width in (*self._widths_ms(), HOUR_MS // 12))
                if at_ms >= end_ms or self._tries >= MAX_TRIES:
                    return None
            steps.append(Step(at_ms=at_ms, request=request))
        return steps if at_ms < end_ms else None

    def passes(self, request: SignatureRequest, at_ms: int) -> bool:
        """Signs, and counts it, if the guard lets it."""
        self._tries += 1
        self._clock.at_ms = at_ms
        try:
            with self._engine.begin() as connection:
                self._guard.authorize(connection, request)
        except StrongroomError:
            return False
        return True


def _signatures(plan: Plan, seconds_ms: int) -> Iterator[tuple[int, SignatureRequest]]:
    """Each with how long after the beginning it is made at the earliest."""
    if sum(take.signatures for take in plan.takes) > MAX_SIGNATURES:
        raise TooLong
    number = 0
    for take in plan.takes:
        left = take.amount
        for position in range(take.signatures):
            number += 1
            part = -(-left // (take.signatures - position))
            left -= part
            yield take.slot * seconds_ms // plan.slots, numbered(take.course, number, part)


def _store(connection: Connection, rules: Sequence[ActiveRule]) -> None:
    connection.execute(tables.guard.insert(), {"id": STATE_ID, "generation": 1})
    for order, one in enumerate(rules):
        row = {
            "id": one.id,
            "name": one.name,
            "document": encode_rule(one.rule),
            "added_at_ms": order,
            "added_by": "",
            "starts_at_ms": one.starts_at_ms,
            "ends_at_ms": one.ends_at_ms,
        }
        connection.execute(tables.rule.insert(), row)
