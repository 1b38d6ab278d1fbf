"""Finds out the outcome of intents by asking their network.

The resolver offers a new intent once. After that it asks the network first (`follow`), and offers the same bytes again only if
the answer is `Unknown`. The database counts each further offer before it is made. This continues until a verdict is final.
Several processes may resolve one intent at the same time. The first final verdict that is stored stands, with one exception:
ACCEPTED replaces REJECTED, because the ledger decides.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Generic, Protocol, TypeVar

import structlog
from sqlalchemy import Connection

from strongroom.core.clock import Clock, Entropy
from strongroom.core.errors import NotFound, OutcomeUnknown, StrongroomError
from strongroom.core.intents.follows import Follows
from strongroom.core.intents.intent import Accepted, Intent, Outcome, Pending, Rejected, Unknown, Verdict
from strongroom.core.intents.steps import log_confirmed, log_offered, log_rejected
from strongroom.core.intents.store import (
    count_attempt,
    load_intent,
    load_open,
    note_answer,
    record_accepted,
    record_pending,
    record_rejected,
)
from strongroom.core.runtime.background import Background
from strongroom.core.runtime.backoff import Backoff
from strongroom.core.runtime.fault_text import fault_text
from strongroom.core.runtime.telemetry import ComponentHealth, Status
from strongroom.core.runtime.work_health import EXPECTED
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import DatabaseUnavailable

log = structlog.get_logger(__name__)

R = TypeVar("R")
SOON_S = 5.0
"""Why an intent stands still is stored once it does so for so long, and again when it changes, or after `AGAIN_S`."""
AGAIN_S = 60.0


class Network(Protocol):
    """A ledger's network. An exception counts as `Unknown`, and the resolver's health shows it."""

    async def offer(self, intent: Intent) -> Verdict:
        """Submits the payload, and waits for the answer as long as that makes sense."""

    async def follow(self, intents: Sequence[Intent]) -> Mapping[bytes, Verdict]:
        """Asks about all these intents at once, without submitting any. Those missing in the answer are asked about again.

        The resolver makes as many calls at a time as `Pace.questions_at_once` says.
        """


class Effects(Protocol[R]):
    """What a verdict changes besides the intent's own row."""

    def apply(self, connection: Connection, intent: Intent, verdict: Accepted | Rejected | Pending) -> R:
        """Changes the ledger's tables in the transaction that stores the verdict, before the intent's row is changed.

        It locks the account's row first, as `Draft.prepare` does: the same order of locks avoids deadlocks. If it raises, or
        the verdict changes nothing, the whole transaction is undone. After an exception the intent stays OPEN and the network
        is asked again.
        """

    def applied(self, intent: Intent, verdict: Accepted | Rejected | Pending, effect: R) -> None:
        """Runs after the commit, in the process that stored the verdict. `effect` is what `apply` returned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution(Generic[R]):
    """A resolved intent. `effect` is what `Effects.apply` returned, or None if another process stored the verdict."""

    intent: Intent
    effect: R | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstAnswer(Generic[R]):
    """An intent after its first offer or question, perhaps still OPEN."""

    intent: Intent
    effect: R | None
    """As in `Resolution`; None also of one that is OPEN."""
    trouble: str | None
    """Why nothing more is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often a ledger's intents are asked about, and when they worry the operator."""

    noun: str
    """The word for intents in messages to the operator, for example `blocks`."""
    ledger: str = ""
    """Its name, for the log."""
    first_pause_s: float = 0.25
    """The pause after the first failure; later pauses are longer."""
    max_pause_s: float = 15.0
    pending_pause_s: float = 1.0
    """The pause between two questions about a Pending intent."""
    worrying_age_s: float = 60.0
    """Health is DEGRADED when an intent is open for longer than this."""
    questions_at_once: int = 1
    """Calls of `Network.follow` that may run at the same time. More than one: a silent node delays fewer of the others."""
    own_s: float = 0.0
    """For this time only the process that stored an intent resolves it; then a sweep may take it up."""


@dataclass(slots=True, eq=False)
class _Running(Generic[R]):
    """An intent that this process resolves."""

    intent: Intent
    since_s: float
    task: asyncio.Task[Resolution[R]] | None = None
    trouble: str | None = None
    """Why the last attempt did not resolve it."""
    stored: "_Stored | None" = None
    """What of it was stored last."""
    asked_once: asyncio.Event = field(default_factory=asyncio.Event)
    """Set after the first offer or question, answered or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """Why an intent stood still, as this process stored it."""

    why: str
    at_s: float


class _NothingChanged(Exception):
    """The verdict does not change what is stored; undoes the transaction."""


class IntentGone(NotFound):
    """The intent that is being resolved was deleted from the database."""

    code = "intent_gone"


class Resolver(Generic[R]):
    """Resolves intents. In one process, each intent has one task, which any number of callers may wait for."""

    def __init__(
        self,
        *,
        network: Network,
        effects: Effects[R],
        database: Database,
        clock: Clock,
        entropy: Entropy,
        background: Background,
        pace: Pace,
    ) -> None:
        self._follows = Follows(network, background, at_once=pace.questions_at_once)
        self._network = network
        self._effects = effects
        self._database = database
        self._clock = clock
        self._entropy = entropy
        self._background = background
        self._pace = pace
        self._running: dict[bytes, _Running[R]] = {}
        self.joined = 0
        """How often a caller joined a resolution that was already running."""

    @property
    def count(self) -> int:
        """How many intents this process is resolving."""
        return len(self._running)

    def is_running(self, intent_id: bytes) -> bool:
        return intent_id in self._running

    def resolve(self, intent: Intent) -> asyncio.Task[Resolution[R]]:
        """Starts or joins the resolution of an intent.

        A caller that waits with a time limit shields the task (`asyncio.shield`), so that only its own wait ends.
        """
        running = self._running.get(intent.id)
        if running is not None and running.task is not None and not running.task.done():
            self.joined += 1
            return running.task
        running = _Running[R](intent, self._clock.monotonic_s())
        task = running.task = self._background.start(self._resolve(running))
        self._running[intent.id] = running
        task.add_done_callback(partial(self._ended, running))
        return task

    async def first_answer(self, intent: Intent) -> FirstAnswer[R]:
        """Starts resolving the intent, and returns as soon as the first offer or question is answered or has failed."""
        task = self.resolve(intent)
        running = self._running.get(intent.id)
        if running is not None:
            await running.asked_once.wait()
        if running is None or task.done():
            end = await asyncio.shield(task)
            return FirstAnswer(intent=end.intent, effect=end.effect, trouble=None)
        return FirstAnswer(intent=running.intent, effect=None, trouble=running.trouble)

    async def wait(self, intent_id: bytes) -> Resolution[R] | None:
        """Waits until a stored intent is resolved; None if there is no such intent. The caller sets the time limit."""
        intent = await self._database.read(lambda connection: load_intent(connection, intent_id))
        if intent is None:
            return None
        if not intent.is_open:
            return Resolution(intent=intent, effect=None)
        return await asyncio.shield(self.resolve(intent))

    async def sweep(self) -> None:
        """Starts resolving the open intents that no task of this process resolves, for example after a crash.

        Raises:
            Unavailable: the database does not answer.
        """
        latest_ms = self._clock.now_ms() - round(self._pace.own_s * 1000)
        known = set(self._running)
        found = await self._database.read(
            lambda connection: load_open(connection, latest_ms=latest_ms, without=known)
        )
        for intent in found:
            if not self.is_running(intent.id):
                age_ms = self._clock.now_ms() - intent.created_at_ms
                log.info("taking up an intent", kind=intent.kind, id=intent.id.hex(), age_ms=age_ms)
                self.resolve(intent)

    def check(self) -> ComponentHealth:
        """Health: DEGRADED while an intent is open for long, or an attempt has failed."""
        now_s, noun = self._clock.monotonic_s(), self._pace.noun
        oldest_s = now_s - min((one.since_s for one in self._running.values()), default=now_s)
        if oldest_s > self._pace.worrying_age_s:
            detail = f"{self.count} {noun} are open, the oldest for {oldest_s:.0f} s"
            return ComponentHealth(status=Status.DEGRADED, detail=detail + self._trouble(": "))
        if trouble := self._trouble(" again: "):
            troubled = sum(one.trouble is not None for one in self._running.values())
            detail = f"{self.count} {noun} are open, {troubled} are tried{trouble}"
            return ComponentHealth(status=Status.DEGRADED, detail=detail)
        return ComponentHealth(status=Status.UP, detail=f"{self.count} {noun} are open")

    def _trouble(self, before: str) -> str:
        troubles = [one.trouble for one in self._running.values() if one.trouble is not None]
        return before + troubles[-1] if troubles else ""

    def _ended(self, running: _Running[R], _task: object) -> None:
        running.asked_once.set()
        if self._running.get(running.intent.id) is running:
            del self._running[running.intent.id]

    async def _resolve(self, running: _Running[R]) -> Resolution[R]:
        backoff = Backoff(
            self._clock,
            self._entropy,
            first_s=self._pace.first_pause_s,
            cap_s=self._pace.max_pause_s,
        )
        is_first = running.intent.is_new
        while True:
            pause_s: float | None = None
            try:
                verdict = await self._ask(running, is_first=is_first)
                if isinstance(verdict, Resolution):
                    return verdict
                match verdict:
                    case Unknown():  # not a failure: the bytes may be anywhere
                        self._note(running, verdict.why)
                        await self._store_trouble(running)
                    case Pending():  # the network has the bytes, so there is no reason to ask more and more slowly
                        pause_s = self._pace.pending_pause_s
                        await self._store_pending(running, verdict)
                        backoff.reset()
                    case Accepted() | Rejected():
                        if (end := await self._store_final(running, verdict)) is not None:
                            return end
            except IntentGone:
                raise  # nothing is left to resolve, and a caller may wait
            except Exception as error:  # noqa: BLE001 - no error may end the search for the outcome
                self._note(running, fault_text(error), error)
                if not isinstance(error, DatabaseUnavailable | OutcomeUnknown):
                    await self._store_trouble(running)
            is_first = False
            running.intent = replace(running.intent, is_new=False)
            running.asked_once.set()
            await (backoff.wait() if pause_s is None else self._clock.sleep(pause_s))

    async def _ask(self, running: _Running[R], *, is_first: bool) -> Verdict | Resolution[R]:
        if is_first and running.intent.attempts:
            running.intent = _offered(running.intent, self._clock.now_ms())
            log_offered(self._pace.ledger, running.intent)
            return _counting(await self._network.offer(running.intent), is_only=running.intent.attempts == 1)
        # Any other intent may already be with the network, so ask before offering.
        verdict = await self._follows.verdict(running.intent)
        if not isinstance(verdict, Unknown):
            return verdict
        # The count is committed before the bytes leave. A verdict that holds only for a single offer then no longer counts.
        offered = _offered(running.intent, self._clock.now_ms())
        counted = await self._database.write(lambda connection: count_attempt(connection, offered))
        if counted is None:
            return await self._resolved_elsewhere(running) or Pending(stage=running.intent.stage)
        running.intent = counted
        log_offered(self._pace.ledger, counted)
        return _counting(await self._network.offer(counted), is_only=False)

    async def _store_trouble(self, running: _Running[R]) -> None:
        """Stores why an intent stands still, so that every process can tell; not at each attempt, because most say the same."""
        now_s, why, intent = self._clock.monotonic_s(), running.trouble, running.intent
        stored = running.stored or _Stored(why="", at_s=running.since_s)
        if why is None or now_s - stored.at_s < (AGAIN_S if stored.why == why else SOON_S):
            return
        now_ms = self._clock.now_ms()
        running.stored = _Stored(why=why, at_s=now_s)
        try:
            await self._database.write(lambda connection: note_answer(connection, intent, why, now_ms))
        except StrongroomError as error:  # it is for people alone, and the search goes on
            log.warning("the reason is not stored", id=intent.id.hex(), why=fault_text(error))

    async def _store_pending(self, running: _Running[R], verdict: Pending) -> None:
        """Stores the new stage of an intent that is on its way."""
        running.trouble = verdict.trouble
        intent = running.intent
        if verdict.stage == intent.stage and not verdict.is_news:
            await self._store_trouble(running)
            return

        def unit(connection: Connection) -> tuple[Intent, R]:
            effect = self._effects.apply(connection, intent, verdict)
            moved = record_pending(connection, intent, verdict)
            if moved is None:
                raise _NothingChanged
            return moved, effect

        try:
            running.intent, effect = await self._database.write(unit)
        except _NothingChanged:
            await self._reload(running)
            return
        self._effects.applied(running.intent, verdict, effect)

    async def _store_final(self, running: _Running[R], verdict: Accepted | Rejected) -> Resolution[R] | None:
        """Stores a final verdict; None if the verdict does not hold and the intent is still OPEN."""
        intent, now_ms = running.intent, self._clock.now_ms()

        def unit(connection: Connection) -> tuple[Intent, R]:
            # The effects come first, because they lock the account's row before the intent's row, as signing does.
            effect = self._effects.apply(connection, intent, verdict)
            if isinstance(verdict, Accepted):
                ended = record_accepted(connection, intent, verdict, now_ms)
            else:
                ended = record_rejected(connection, intent, verdict, now_ms)
            if ended is None:
                raise _NothingChanged
            return ended, effect

        try:
            ended, effect = await self._database.write(unit)
        except _NothingChanged:
            end = await self._resolved_elsewhere(running)
            if isinstance(verdict, Accepted) and _is_due_anew(intent, running.intent):
                return await self._store_final(running, verdict)
            return end
        report = log_confirmed if isinstance(verdict, Accepted) else log_rejected
        report(self._pace.ledger, ended)
        self._effects.applied(ended, verdict, effect)
        return Resolution(intent=ended, effect=effect)

    async def _resolved_elsewhere(self, running: _Running[R]) -> Resolution[R] | None:
        """Reads the intent again: another process has resolved it, or has offered it and so voided this verdict."""
        await self._reload(running)
        if running.intent.is_open:
            self._note(running, "another process offers it too")
            return None
        return Resolution(intent=running.intent, effect=None)

    async def _reload(self, running: _Running[R]) -> None:
        intent_id = running.intent.id
        stored = await self._database.read(lambda connection: load_intent(connection, intent_id))
        if stored is None:
            raise IntentGone(f"Intent {intent_id.hex()} was deleted from the database")
        running.intent = stored

    def _note(self, running: _Running[R], why: str, error: Exception | None = None) -> None:
        running.trouble = why
        log.warning(
            "intent not resolved yet",
            kind=running.intent.kind,
            id=running.intent.id.hex(),
            attempts=running.intent.attempts,
            why=why,
            exc_info=None if error is None or isinstance(error, EXPECTED) else error,
        )


def _is_due_anew(known: Intent, stored: Intent) -> bool:
    """Whether the bytes that the ledger has were signed again meanwhile, perhaps for another request, which must hear of it."""
    return stored.created_at_ms != known.created_at_ms and stored.outcome is not Outcome.ACCEPTED


def _offered(intent: Intent, now_ms: int) -> Intent:
    """As it is once it is offered now."""
    first_ms = now_ms if intent.first_offered_at_ms is None else intent.first_offered_at_ms
    return replace(intent, first_offered_at_ms=first_ms, last_offered_at_ms=now_ms)


def _counting(verdict: Verdict, *, is_only: bool) -> Verdict:
    """What the answer to an offer proves: the refusal of one offer says nothing about another that may still arrive."""
    if isinstance(verdict, Rejected) and verdict.if_unshared and not is_only:
        return Unknown(why=verdict.reason)
    return verdict
