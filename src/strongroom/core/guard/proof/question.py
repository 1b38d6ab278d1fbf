"""Puts the question together: which rules count, which courses they leave, whether these add up, and whether the guard agrees."""

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, product
from typing import Final

from strongroom.core.errors import InvalidInput
from strongroom.core.guard.evaluation import ActiveRule, is_open
from strongroom.core.guard.guard import Default
from strongroom.core.guard.proof.courses import Course, Scene, Shared, Undecidable, courses_of, spans_of
from strongroom.core.guard.proof.replay import MAX_SIGNATURES, Replay, Step, TooLong
from strongroom.core.guard.proof.solver import Plan, Take, find_plan
from strongroom.core.guard.rule import MAX_WINDOW_S, Effect, Hours, Limit, Per
from strongroom.core.guard.vocabulary import Vocabulary

DAY_S: Final = 86_400
LOOK_AHEAD_DAYS: Final = 8
LOOK_MS: Final = 15 * 60_000
SHOWN: Final = 20
"""So many signatures are tried of an example that goes on in the same way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Can more than `more_than` of an asset leave `wallet` within any stretch of `seconds`?"""

    wallet: str
    more_than: int
    seconds: int = DAY_S
    asset: str = ""
    with_approvals: bool = True
    """True: people approve whatever they are asked for. False: they approve nothing."""


class Answer(enum.StrEnum):
    NO = "no"
    YES = "yes"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    answer: Answer
    why: str
    steps: Sequence[Step] = field(default=())
    """What the guard let pass, for `yes`."""
    signatures: int = 0
    """How many signatures the example has; more than `steps` if it goes on in the same way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    question: Question
    scene: Scene
    replay: Replay
    now_ms: int

    @property
    def counts(self) -> bool:
        """Whether a signature stands in one course alone: it pays one destination, or the rules do not tell them apart."""
        conditions = chain.from_iterable((one.when, one.unless) for one in self.scene.rules)
        tells_apart = any(one is not None and one.destinations is not None for one in conditions) or any(
            one.limit is not None and one.limit.per is Per.DESTINATION for one in self.scene.rules
        )
        return not (self.scene.vocabulary.payloads.pays_several and tells_apart)

    def limits(self, courses: Sequence[Course]) -> Mapping[Shared, Limit]:
        found = {}
        for shared in chain.from_iterable(course.windows for course in courses):
            limit = self.scene.rules[shared.rule].limit
            if limit is not None:
                found[shared] = limit
        return found

    def plan(self, courses: Sequence[Course]) -> Plan | None:
        """Raises: TimeoutError."""
        question = self.question
        return find_plan(
            courses,
            self.limits(courses),
            asset=question.asset,
            seconds=question.seconds,
            more_than=question.more_than,
            counts=self.counts,
        )

    def steps(self, plan: Plan) -> list[Step] | None:
        """Raises: TooLong."""
        return self.replay.of(plan, seconds=self.question.seconds, now_ms=self.now_ms)


def prove(
    rules: Sequence[ActiveRule], default: Default, vocabulary: Vocabulary, question: Question, now_ms: int
) -> Proof:
    """Answers the question for the rules that count from now on.

    What was spent before, freezes, scopes and what tokens narrow are left out: they only make it less.

    Raises:
        InvalidInput: the question is none.
    """
    if not question.wallet or question.more_than < 0 or not 1 <= question.seconds <= MAX_WINDOW_S:
        raise InvalidInput("A question has a wallet, an amount, and a stretch of time of at most 366 days")
    stored = [one for one in rules if not (question.with_approvals and one.rule.effect is Effect.APPROVE)]
    # One that ends later bounds nothing after that; one that allows from later on allows then.
    lasting = [one.rule for one in stored if one.rule.effect is Effect.ALLOW or one.ends_at_ms is None]
    scene = Scene(
        rules=lasting,
        default_allows=default is Default.ALLOW,
        wallet=question.wallet,
        asset=question.asset,
        vocabulary=vocabulary,
    )
    replay = Replay(stored, default)
    try:
        return _search(_Search(question=question, scene=scene, replay=replay, now_ms=now_ms))
    except Undecidable as error:
        return Proof(answer=Answer.UNKNOWN, why=str(error))
    finally:
        replay.close()


def _search(search: _Search) -> Proof:
    spans = spans_of(search.scene.rules)
    first = _among(search, _courses(search.scene, _seen(spans, search.now_ms)))
    if first.answer is not Answer.NO or not spans:
        return first
    # Zones change their clocks: spans may meet in another way than in the days that were looked at.
    second = _among(search, _courses(search.scene, _all(spans)), tries=False)
    if second.answer is not Answer.YES:
        return second
    why = "It is not so in the coming days; whether spans of hours ever meet in another way is not known."
    return Proof(answer=Answer.UNKNOWN, why=why)


def _among(search: _Search, courses: Sequence[Course], *, tries: bool = True) -> Proof:
    """`tries` False: whatever the model allows is a yes, and nothing is tried."""
    if not courses:
        return Proof(answer=Answer.NO, why="The rules let nothing leave this wallet.")
    unbounded = [one for one in courses if _is_unbounded(search, one)]
    try:
        if unbounded:
            return _repeats(search, unbounded) if tries else Proof(answer=Answer.YES, why="")
        return _adding_up(search, courses, tries=tries)
    except TimeoutError:
        return Proof(answer=Answer.UNKNOWN, why="It takes too long to find out.")
    except TooLong:
        why = f"It would take more than {MAX_SIGNATURES} signatures, too many to try."
        return Proof(answer=Answer.UNKNOWN, why=why)


def _adding_up(search: _Search, courses: Sequence[Course], *, tries: bool) -> Proof:
    plan = search.plan(courses)
    if plan is None:
        return Proof(answer=Answer.NO, why="The rules' limits together let no more pass.")
    steps = search.steps(plan) if tries else []
    if steps is None:
        why = "The limits add up to more, but the guard let no example pass that was tried."
        return Proof(answer=Answer.UNKNOWN, why=why)
    return Proof(answer=Answer.YES, why="The guard lets this pass:", steps=steps, signatures=len(steps))


def _repeats(search: _Search, courses: Sequence[Course]) -> Proof:
    """The first that passes, else why the first did not."""
    proofs = [_repeat(search, courses[0])]
    for course in courses[1:]:
        if proofs[-1].answer is Answer.YES:
            return proofs[-1]
        proofs.append(_repeat(search, course))
    return proofs[-1] if proofs[-1].answer is Answer.YES else proofs[0]


def _is_unbounded(search: _Search, course: Course) -> bool:
    """Whether no window bounds what it takes."""
    if not course.windows or not course.request.is_amount_known:
        return True
    return course.at_once is None and not _limits_amounts(search, course)


def _limits_amounts(search: _Search, course: Course) -> bool:
    limits = [search.scene.rules[shared.rule].limit for shared in course.windows]
    return any(
        one is not None and one.max_amount is not None and one.asset == search.question.asset
        for one in limits
    )


def _repeat(search: _Search, course: Course) -> Proof:
    """An example of a course that no window bounds: one signature, or as many as it takes, each with names of its own."""
    wanted = search.question.more_than + 1
    if not course.request.is_amount_known:
        signatures, tried, amount = 1, 1, 0
        why = "The guard lets a call pass that does not say what it takes, and so takes any amount:"
    else:
        signatures = 1 if course.at_once is None else -(-wanted // course.at_once)
        tried = min(signatures, SHOWN)
        amount = wanted if tried == signatures else tried * (course.at_once or 0)
        why = "The guard lets this pass" + (
            f", and so on: {signatures} signatures, each like these:" if tried < signatures else ":"
        )
    take = Take(slot=0, course=course, signatures=tried, amount=amount)
    steps = search.steps(Plan(slots=1, takes=(take,)))
    if steps is None:
        return Proof(answer=Answer.UNKNOWN, why="No rule bounds it, but the guard let no example pass.")
    return Proof(answer=Answer.YES, why=why, steps=steps, signatures=signatures)


def _courses(scene: Scene, times: Iterable[frozenset[Hours]]) -> list[Course]:
    """Those of all these times, each kind once."""
    found = chain.from_iterable(courses_of(scene, each) for each in times)
    kinds: dict[object, Course] = {}
    for one in found:
        kinds.setdefault((one.at_once, one.windows, one.request.is_amount_known), one)
    return list(kinds.values())


def _seen(spans: Sequence[Hours], now_ms: int) -> list[frozenset[Hours]]:
    """The ways in which the spans meet in the coming days."""
    if not spans:
        return [frozenset()]
    moments = range(now_ms, now_ms + LOOK_AHEAD_DAYS * DAY_S * 1000, LOOK_MS)
    return list(dict.fromkeys(frozenset(one for one in spans if is_open(one, each)) for each in moments))


def _all(spans: Sequence[Hours]) -> list[frozenset[Hours]]:
    """Every way in which the spans could meet."""
    choices = product((False, True), repeat=len(spans))
    return [frozenset(one for one, holds in zip(spans, each, strict=True) if holds) for each in choices]
