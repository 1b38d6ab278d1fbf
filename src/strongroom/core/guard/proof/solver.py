"""Looks whether courses can add up to more than an amount, with z3.

Time is cut into slots of equal length. What a signature of the real guard counts in a window is bounded here by no more than what
the guard itself promises: no stretch of the window's length ever holds more than its limit. So what has no solution here
cannot happen there; what has one is tried there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import z3

from strongroom.core.guard.proof.courses import Course, Shared
from strongroom.core.guard.rule import Limit

MAX_SLOTS: Final = 96
PATIENCE_MS: Final = 30_000
FEW: Final = 500
"""Signatures that an example should have at most, if there is such a one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """So many signatures of one course within one slot, and what they take together."""

    slot: int
    course: Course
    signatures: int
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A solution, the earliest slot first."""

    slots: int
    takes: tuple[Take, ...]


def slots_for(windows: Sequence[Limit], seconds: int) -> int:
    """One slot if every window lasts as long as the stretch; else so many that the shortest window fills one, or `MAX_SLOTS`."""
    shortest = min((one.seconds or seconds for one in windows), default=seconds)
    return min(MAX_SLOTS, max(1, -(-seconds // shortest)))


def find_plan(
    courses: Sequence[Course],
    limits: Mapping[Shared, Limit],
    *,
    asset: str,
    seconds: int,
    more_than: int,
    counts: bool,
) -> Plan | None:
    """A way to take more than this within so many seconds; None: there is none.

    `counts` False: limits of signatures are left out, because one signature may stand in several courses.

    Raises:
        TimeoutError: z3 does not find out in time.
    """
    slots = slots_for(list(limits.values()), seconds)
    numbers, amounts = _unknowns("n", len(courses), slots), _unknowns("a", len(courses), slots)
    solver = z3.Solver()
    solver.set("timeout", PATIENCE_MS)
    for place, course in enumerate(courses):
        for number, amount in zip(numbers[place], amounts[place], strict=True):
            solver.add(number >= 0, amount >= 0, z3.Implies(amount > 0, number >= 1))
            if course.at_once is not None and counts:
                solver.add(amount <= course.at_once * number)
    for shared, limit in limits.items():
        own = [place for place, course in enumerate(courses) if shared in course.windows]
        for run, times in _runs(limit, seconds, slots):
            if limit.max_amount is not None and limit.asset == asset:
                solver.add(_sum(amounts, own, run) <= limit.max_amount * times)
            if limit.count is not None and counts:
                solver.add(_sum(numbers, own, run) <= limit.count * times)
    everything, whole = range(len(courses)), range(slots)
    solver.add(_sum(amounts, everything, whole) > more_than)
    if not _is_possible(solver, few=_sum(numbers, everything, whole) <= FEW):
        return None
    return Plan(slots=slots, takes=tuple(_takes(solver.model(), courses, numbers, amounts)))


def _unknowns(name: str, courses: int, slots: int) -> list[list[Any]]:
    return [[z3.Int(f"{name}{course}_{slot}") for slot in range(slots)] for course in range(courses)]


def _is_possible(solver: Any, *, few: Any) -> bool:
    """Looks for an example with few signatures first. Raises: TimeoutError."""
    if solver.check(few) == z3.sat:
        return True
    found = solver.check()
    if found == z3.unknown:
        raise TimeoutError
    return bool(found == z3.sat)


def _runs(limit: Limit, seconds: int, slots: int) -> Iterator[tuple[range, int]]:
    """Runs of slots, and how often the limit fits into each of them at most."""
    length = Fraction(seconds, slots)
    window = limit.seconds or seconds
    together = int(window / length)
    if together >= slots:
        yield range(slots), 1
    elif together:
        for first in range(slots - together + 1):
            yield range(first, first + together), 1
    else:
        for slot in range(slots):
            yield range(slot, slot + 1), -int(-length // window)


def _sum(terms: Sequence[Sequence[Any]], courses: Sequence[int] | range, run: range) -> Any:
    return z3.Sum([terms[course][slot] for course in courses for slot in run])


def _takes(
    model: Any, courses: Sequence[Course], numbers: Sequence[Sequence[Any]], amounts: Sequence[Sequence[Any]]
) -> Iterator[Take]:
    for slot in range(len(numbers[0])):
        for place, course in enumerate(courses):
            amount = _value(model, amounts[place][slot])
            if amount:
                stated = _value(model, numbers[place][slot])
                needed = 1 if course.at_once is None else -(-amount // course.at_once)
                signatures = min(stated, needed) or needed
                yield Take(slot=slot, course=course, signatures=signatures, amount=amount)


def _value(model: Any, unknown: Any) -> int:
    return int(model.eval(unknown, model_completion=True).as_long())
